"""The command `python -m export`: an encoder into ONNX, a catalog into an index generation, suggestions of phrases."""

from __future__ import annotations

import sys

import click

from export.catalog.cli import catalog
from export.command import run
from export.encoder.cli import encoder
from export.errors import ExportError
from export.suggest.cli import suggest

EPILOG = """\b
A first time:
  python -m export encoder
  python -m export catalog publish catalogs/finance.jsonl --offline
  python -m server

\b
Exit status:
  0  done    1  refused, with a sentence that says why    2  wrong usage
"""


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog=EPILOG,
)
def cli() -> None:
    """Fill the model repository: an encoder into ONNX, a catalog into an index generation."""


for command in (encoder, catalog, suggest):
    cli.add_command(command)


def main(argv: list[str] | None = None) -> int:
    """Run one command; its exit status: 0 done, 1 refused with a sentence on stderr, 2 wrong usage."""
    return run(cli, argv, "python -m export", "nothing was replaced", _refusals)


def _refusals() -> tuple[type[Exception], ...]:
    """The errors whose text is meant for the user. Asked for when there is one: a command imports only what it uses."""
    from malgil_core.catalog.reading import CatalogError
    from malgil_core.encoder import EncoderMetadataError
    from malgil_core.index.generation import GenerationError
    from malgil_core.index.history import HistoryError

    return ExportError, CatalogError, EncoderMetadataError, HistoryError, GenerationError


if __name__ == "__main__":
    sys.exit(main())
