"""Option types that the commands share: lists with commas, whose mistakes are named in one sentence."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click
from rich.console import Console

CONSOLE = Console(highlight=False)
FILE = click.Path(dir_okay=False, path_type=Path)
FOLDER = click.Path(file_okay=False, path_type=Path)


class Names(click.ParamType[tuple[str, ...]]):
    """Names with commas between them, each out of a known set."""

    name = "names"

    def __init__(self, known: Iterable[str]) -> None:
        self.known = tuple(known)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """A tuple of names."""
        if isinstance(value, tuple):
            return value
        names = tuple(value.split(","))
        for name in names:
            if name not in self.known:
                self.fail(f"{name!r} is not among {', '.join(self.known)}", param, ctx)
        return names


class Numbers(click.ParamType[tuple[int, ...]]):
    """Whole numbers with commas between them, each at least `least`."""

    name = "numbers"

    def __init__(self, least: int = 1) -> None:
        self.least = least

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """A tuple of numbers."""
        if isinstance(value, tuple):
            return value
        for number in value.split(","):
            if not (number.isascii() and number.isdigit()) or int(number) < self.least:
                self.fail(f"{number!r} is not a whole number from {self.least}", param, ctx)
        return tuple(map(int, value.split(",")))


class Seconds(click.ParamType[float]):
    """A finite number of seconds above 0."""

    name = "seconds"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number."""
        try:
            seconds = float(value)
        except ValueError:
            seconds = math.nan
        if not 0 < seconds < math.inf:
            self.fail(f"{value!r} is not a number of seconds above 0", param, ctx)
        return seconds
