"""The group of commands behind `python -m training`."""

from __future__ import annotations

import importlib

import click

from export.command import run
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
    return run(cli, argv, "python -m training", "what was complete before is unchanged", _refusals)


def _refusals() -> tuple[type[Exception], ...]:
    """The errors whose text is meant for the user. Asked for when there is one: a command imports only what it uses."""
    from malgil_core.catalog.reading import CatalogError
    from malgil_core.encoder import EncoderMetadataError

    from export.errors import ExportError

    return TrainingError, ExportError, CatalogError, EncoderMetadataError
