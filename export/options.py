"""Options that several commands take, and the types of their values."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from export import ROOT

F = TypeVar("F", bound=Callable[..., Any])
PATH = click.Path(path_type=Path)
KEEP = 5  # generations that a publish leaves: the one that serves, and some to go back to


class Between(click.ParamType[float]):
    """A number within bounds. Unlike with click.FloatRange, NaN is not."""

    name = "number"

    def __init__(self, low: float, high: float) -> None:
        self.low, self.high = low, high

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number of a command line's word."""
        number: float = click.FLOAT.convert(value, param, ctx)
        if not self.low <= number <= self.high:
            self.fail(f"{value} is not from {self.low:g} to {self.high:g}", param, ctx)
        return number


def repository(command: F) -> F:
    """Add the option --repository."""
    return click.option(
        "--repository",
        type=PATH,
        metavar="FOLDER",
        default=ROOT / "model_repository",
        help="Model repository that Triton loads.  [default: model_repository]",
    )(command)


def index(command: F) -> F:
    """Add the option --index."""
    return click.option(
        "--index",
        type=PATH,
        metavar="FOLDER",
        default=ROOT / "index",
        help="Folder of the index's generations.  [default: index]",
    )(command)


def keep(command: F) -> F:
    """Add the option --keep."""
    return click.option(
        "--keep",
        type=click.IntRange(min=1),
        default=KEEP,
        show_default=True,
        metavar="NUMBER",
        help="Generations kept.",
    )(command)


def null_topics(command: F) -> F:
    """Add the option --null-topics."""
    return click.option(
        "--null-topics",
        type=PATH,
        multiple=True,
        metavar="FILE",
        help="Further null topics, what the app does not do, such as catalogs/null_topics.jsonl. Can be repeated.",
    )(command)
