"""Command line: `python -m benchmarks COMMAND`; `--help` lists the commands."""

from __future__ import annotations

import sys

import click
import malgil
from malgil_core.catalog.reading import CatalogError
from malgil_core.encoder import EncoderMetadataError

from benchmarks import korsts, mixed_lengths, null_load, personal, quality_cli, scoring, sizing, suggest
from benchmarks.compare.run import compare
from benchmarks.console.cli import console
from benchmarks.documents.cli import documents
from benchmarks.events.cli import events
from benchmarks.loop.cli import loop
from benchmarks.sweep import cli as sweep_cli
from benchmarks.sweep.plan import SweepError
from export.errors import ExportError
from server.triton import SetupError


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Speed is measured on this machine, by real servers on free ports of loopback; let nothing else run "
    "meanwhile. What the figures mean: docs/performance.md.",
)
def cli() -> None:
    """Measure a Malgil server: how well it finds, how fast it is, how much memory it takes."""


for command in (
    quality_cli.quality,
    korsts.korsts,
    sweep_cli.sweep,
    sweep_cli.report,
    compare,
    scoring.scoring,
    null_load.null_phrases,
    personal.personal,
    mixed_lengths.mixed_lengths,
    sizing.sizing,
    documents,
    console,
    events,
    loop,
    suggest.suggest,
):
    cli.add_command(command)


FAILURES = (
    CatalogError,
    EncoderMetadataError,
    ExportError,
    FileNotFoundError,
    SetupError,
    SweepError,
    malgil.MalgilError,
)


def main(argv: list[str] | None = None) -> int:
    """Run one benchmark; its exit status."""
    try:
        cli(argv, prog_name="python -m benchmarks", standalone_mode=False)
    except click.ClickException as error:
        if isinstance(error, click.exceptions.NoArgsIsHelpError):
            error.show()
        else:
            click.echo(f"Error: {error.format_message()}", err=True)
        return error.exit_code
    except click.Abort:
        return 130
    except FAILURES as error:
        click.echo(error, err=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
