"""Options that several commands take."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from export import ROOT

F = TypeVar("F", bound=Callable[..., Any])
PATH = click.Path(path_type=Path)
EVENTS = ROOT / "events"
PEOPLE = 5  # fewer, and a query may point to one of them


def events(command: F) -> F:
    """Add the option --events; the command gets it as `events`."""
    return click.option(
        "--events",
        type=click.Path(file_okay=False, path_type=Path),
        metavar="FOLDER",
        default=EVENTS,
        envvar="MALGIL_EVENTS",
        show_envvar=True,
        help="Folder of the event segments.  [default: events]",
    )(command)


def days(command: F) -> F:
    """Add the option --days."""
    return click.option(
        "--days", type=click.IntRange(1, 3650), metavar="NUMBER", help="Of the last days alone.  [default: all]"
    )(command)


def people(command: F) -> F:
    """Add the option --people."""
    return click.option(
        "--people", type=click.IntRange(1), default=PEOPLE, show_default=True, metavar="NUMBER",
        help="Different people, or searches of nameless ones, who must have typed a query before it is used.",
    )(command)  # fmt: skip


def written_json(command: F) -> F:
    """Add the option --json; the command gets the file as `json_file`."""
    return click.option(
        "--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
        help="Write all figures as JSON.",
    )(command)  # fmt: skip
