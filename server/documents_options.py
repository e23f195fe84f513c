"""The options of documents, and the engine that they name or start."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import click

from server.documents import PORT, Access, Engine
from server.launcher import ROOT
from server.ports import free_ports
from server.triton import SetupError

FOLDER = ROOT / "documents-data"
EMBEDDED = "embedded"  # --documents without a URI
_FOR_OTHERS = (
    "--documents without a URI starts an engine on loopback, which takes no TLS and no token: {} is for one elsewhere, "
    "give its URI, or leave that out"
)


def options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options of documents; `from_options` takes them."""
    for option in (
        click.option(
            "--documents-ca",
            type=click.Path(exists=True, dir_okay=False, path_type=Path),
            metavar="FILE",
            envvar="MALGIL_DOCUMENTS_CA",
            help="Certificates that the engine's is checked with.",
        ),
        click.option(
            "--documents-token-file",
            type=click.Path(exists=True, dir_okay=False, path_type=Path),
            metavar="FILE",
            help="Token of the engine.  [default: MALGIL_DOCUMENTS_TOKEN]",
        ),
        click.option(
            "--documents-folder",
            type=click.Path(file_okay=False, path_type=Path),
            default=FOLDER,
            metavar="FOLDER",
            help="Data of the engine that is started.  [default: documents-data]",
        ),
        click.option(
            "--documents",
            is_flag=False,
            flag_value=EMBEDDED,
            envvar="MALGIL_DOCUMENTS",
            metavar="[URI]",
            help="Search documents, too, in the vector engine at URI; without it, start one on loopback.",
        ),
    ):
        command = option(command)
    return command


@contextlib.contextmanager
def from_options(
    log: Callable[[str], None],
    free: bool,
    documents: str | None,
    documents_folder: Path,
    documents_token_file: Path | None,
    documents_ca: Path | None,
) -> Iterator[Access]:
    """How Triton reaches the engine, which runs for as long as this lasts.

    Raises:
        SetupError: it cannot start, or an option is wrong.
    """
    token = os.environ.get("MALGIL_DOCUMENTS_TOKEN", "")
    if documents_token_file is not None:
        token = documents_token_file.read_text(encoding="utf-8").strip()
    if documents == EMBEDDED:
        if token:
            raise SetupError(_FOR_OTHERS.format("a token (--documents-token-file or MALGIL_DOCUMENTS_TOKEN)"))
        if documents_ca is not None:
            raise SetupError(_FOR_OTHERS.format("certificates (--documents-ca or MALGIL_DOCUMENTS_CA)"))
        engine = Engine(documents_folder, free_ports().http if free else PORT, log)
        try:
            engine.start()
            yield engine.access
        finally:
            engine.stop()
    else:
        yield Access(documents or "", token, documents_ca)
