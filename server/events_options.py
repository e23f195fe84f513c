"""The options of events: the folder of their log, and whether it keeps the texts of queries."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import click
from malgil_core.serving.events import FOLDER, LOG_QUERIES

from server.triton import SetupError


def options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options of events; `from_options` takes them."""
    for option in (
        click.option(
            "--log-queries",
            is_flag=True,
            envvar=LOG_QUERIES,
            help="Keep the texts of queries that events bring, too.  [default: they are removed]",
        ),
        click.option(
            "--events",
            type=click.Path(path_type=Path),
            metavar="FOLDER",
            envvar=FOLDER,
            help="Where events of searches are stored.  [default: events]",
        ),
    ):
        command = option(command)
    return command


def from_options(events: Path | None, log_queries: bool) -> dict[str, str]:
    """The variables that tell Triton's model `events`; its configuration says what is not told.

    Raises:
        SetupError: the folder cannot be made.
    """
    told = {}
    if log_queries:
        told[LOG_QUERIES] = "1"
    elif os.environ.get(LOG_QUERIES):  # click takes more words for no than the model does
        told[LOG_QUERIES] = "0"
    if events is None:
        return told
    try:
        events.mkdir(mode=0o750, parents=True, exist_ok=True)
    except OSError as error:
        raise SetupError(f"--events {events}: {error.strerror}") from None
    return {**told, FOLDER: str(events.resolve())}
