"""The group of commands behind `python -m training`."""

from __future__ import annotations

import importlib

import click

from training.errors import TrainingError

# Command → module and attribute. A command's module is imported when the command is named, or for the group's help.
COMMANDS = {
    "encoder": "training.encoder_cli:encoder",
    "evaluate": "training.evaluation.cli:evaluate",
}

EPILOG = """\b
A first time:
  python -m training encoder --recipe search --out models/search
  python -m training evaluate bundled models/search
  python -m export encoder models/search

\b
Exit status:
  0  done    1  refused, with a sentence that says why    2  wrong usage
"""


class LazyGroup(click.Group):
    """A group whose commands are imported on demand."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of the commands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a name, or None."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog=EPILOG,
)
def cli() -> None:
    """Fine-tune an encoder, and evaluate encoders."""


def main(argv: list[str] | None = None) -> int:
    """Run one command; its exit status: 0 done, 1 refused with a sentence on stderr, 2 wrong usage."""
    try:
        status: int | None = cli.main(argv, prog_name="python -m training", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        click.echo("interrupted; what was complete before is unchanged", err=True)
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

    from export.errors import ExportError

    return TrainingError, ExportError, CatalogError, EncoderMetadataError
