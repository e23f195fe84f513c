"""Options that several commands take, and what is made of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click

from documents.engine import DEFAULT_URI, Access, Engine
from documents.errors import DocumentsError
from export import options as export_options
from export.catalog import access
from export.catalog.embedding import Kind

F = TypeVar("F", bound=Callable[..., Any])
PATH = click.Path(path_type=Path)


def engine(command: F) -> F:
    """Add the options of the engine; `connected` takes them."""
    for option in (
        click.option("--engine-ca", type=PATH, metavar="FILE", help="Certificates that the engine's is checked with."),
        click.option(
            "--token-file", type=PATH, metavar="FILE",
            help="File with USER:PASSWORD or a key of the engine.  [default: the variable MALGIL_DOCUMENTS_TOKEN]",
        ),
        click.option(
            "--engine", "uri", metavar="URI", envvar="MALGIL_DOCUMENTS", default=DEFAULT_URI, show_default=True,
            help="Address of milvus-lite or a Milvus server; https:// for TLS. Also in MALGIL_DOCUMENTS.",
        ),
    ):  # fmt: skip
        command = option(command)
    return command


def connected(uri: str, token_file: Path | None, engine_ca: Path | None) -> Engine:
    """The engine of the options; what it lacks is told on standard error."""
    token = os.environ.get("MALGIL_DOCUMENTS_TOKEN", "")
    if token_file is not None:
        token = token_file.read_text(encoding="utf-8").strip()
    found = Engine(Access(uri, token, engine_ca))
    if sentence := found.lacks():
        click.echo(sentence, err=True)
    return found


def encoder(command: F) -> F:
    """Add the options of the encoder; `embedding` takes them."""
    command = export_options.repository(access.server(command))
    return click.option("--offline", is_flag=True, help="Embed in this process, not through the server.")(command)


@contextmanager
def embedding(
    kind: Kind, repository: Path, offline: bool, url: str, tls_ca: Path | None, tls_cert: Path | None,
    tls_key: Path | None, tls_name: str | None, key_file: Path | None,
) -> Iterator[Any]:  # fmt: skip
    """A function that embeds texts of one kind, in this process or through the running server."""
    import malgil

    from export.catalog import embedding as embedding_

    if offline:
        yield embedding_.offline(repository, kind=kind)
        return
    key = access.key(key_file, os.environ.get("MALGIL_KEY"))
    with access.Access(url, tls_ca, tls_cert, tls_key, tls_name, key).client() as client:
        try:
            yield embedding_.online(client, url, repository, kind=kind)
        except malgil.MalgilError as error:
            hint = "start `python -m server`, or embed with --offline"
            raise DocumentsError(f"{url}: {error}; {hint}") from None
