"""Options that several commands take."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from export import ROOT
from export import options as export_options
from export.catalog import access
from feedback.bounds import PEOPLE, Bounds
from feedback.errors import FeedbackError

if TYPE_CHECKING:
    from malgil_core.index.writer import Embed

    from export.catalog.embedding import Kind
    from feedback.catalog import Serving

F = TypeVar("F", bound=Callable[..., Any])
PATH = click.Path(path_type=Path)
EVENTS = ROOT / "events"


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


def encoder(command: F) -> F:
    """Add the options of the encoder and the index; `embedding` takes the encoder's."""
    command = export_options.index(export_options.repository(access.server(command)))
    return click.option("--offline", is_flag=True, help="Embed in this process, not through the server.")(command)


@contextmanager
def embedding(
    serving: Serving, kind: Kind, repository: Path, offline: bool, url: str, tls_ca: Path | None, tls_cert: Path | None,
    tls_key: Path | None, tls_name: str | None, key_file: Path | None,
) -> Iterator[Embed]:  # fmt: skip
    """A function that embeds texts of one kind, in this process or through the running server."""
    import malgil

    from export.catalog import embedding as embedding_

    if offline:
        yield embedding_.offline(repository, kind=kind, latin_words=serving.latin_words)
        return
    key = access.key(key_file, os.environ.get("MALGIL_KEY"))
    with access.Access(url, tls_ca, tls_cert, tls_key, tls_name, key).client() as client:
        try:
            yield embedding_.online(client, url, repository, kind=kind)
        except malgil.MalgilError as error:
            raise FeedbackError(f"{url}: {error}; start `python -m server`, or embed with --offline") from None


def choices(command: F) -> F:
    """Add the options from when on a choice counts; `bounds` takes them."""
    for option in (
        click.option(
            "--skips", type=click.IntRange(1), default=Bounds.skips, show_default=True, metavar="NUMBER",
            help="People who skipped a hit above the chosen one, for it to be a negative.",
        ),
        click.option(
            "--share", type=export_options.Between(0.5, 1), default=Bounds.share, show_default=True, metavar="SHARE",
            help="Of a query's choices, weighed by how much their ranks are looked at, that its service must have.",
        ),
        people,
    ):  # fmt: skip
        command = option(command)
    return command
