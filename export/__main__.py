"""The command `python -m export`: an encoder into ONNX, a catalog into an index generation."""

from __future__ import annotations

import sys

import click

from export.catalog.cli import catalog
from export.encoder.cli import encoder
from export.errors import ExportError

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


for command in (encoder, catalog):
    cli.add_command(command)


def main(argv: list[str] | None = None) -> int:
    """Run one command; its exit status: 0 done, 1 refused with a sentence on stderr, 2 wrong usage."""
    try:
        status: int | None = cli.main(argv, prog_name="python -m export", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        click.echo("interrupted; nothing was replaced", err=True)
        return 1
    except OSError as error:
        click.echo(f"{error.filename}: {error.strerror}" if error.filename else error, err=True)
        return 1
    except _refusals() as error:
        click.echo(error, err=True)
        return 1
    return status or 0


def _refusals() -> tuple[type[Exception], ...]:
    """The errors whose text is meant for the user. Asked for when there is one: a command imports only what it uses."""
    from malgil_core.catalog.reading import CatalogError
    from malgil_core.encoder import EncoderMetadataError
    from malgil_core.index.generation import GenerationError
    from malgil_core.index.history import HistoryError

    return ExportError, CatalogError, EncoderMetadataError, HistoryError, GenerationError


if __name__ == "__main__":
    sys.exit(main())
