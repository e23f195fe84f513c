"""The group of commands behind `python -m training`."""

from __future__ import annotations

import click

from export.command import LazyGroup, run
from training.errors import TrainingError

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


@click.group(
    cls=LazyGroup,
    lazy=COMMANDS,
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
