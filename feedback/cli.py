"""The group of commands behind `python -m feedback`."""

from __future__ import annotations

import click

from export.command import LazyGroup, run
from feedback.errors import FeedbackError

COMMANDS = {
    "report": "feedback.report_cli:report",
    "compare": "feedback.experiments.compare_cli:compare",
    "power": "feedback.experiments.power_cli:power",
    "pairs": "feedback.pairs_cli:pairs",
    "phrases": "feedback.phrases_cli:phrases",
    "null-topics": "feedback.phrases_cli:null_topics",
    "suggestions": "feedback.suggestions_cli:suggestions",
    "average": "feedback.federated:average_command",
    "loop": "feedback.loop.cli:loop",
    "retain": "feedback.log_cli:retain",
    "forget": "feedback.log_cli:forget",
    "seal": "feedback.log_cli:seal",
}

EPILOG = """\b
A first time, after a server has run with --events and people have searched:
  python -m feedback report
  python -m feedback pairs --out pairs.jsonl --offline
  python -m feedback loop --dry-run
  python -m feedback power --from-events 14 --effect 0.02
  python -m feedback compare NAME

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
    """Read the events of searches: reports, training data, experiments."""


def main(argv: list[str] | None = None) -> int:
    """Run one command; its exit status: 0 done, 1 refused with a sentence on stderr, 2 wrong usage."""
    return run(cli, argv, "python -m feedback", "what was complete before is unchanged", _refusals)


def _refusals() -> tuple[type[Exception], ...]:
    """The errors whose text is meant for the user. Asked for when there is one: a command imports only what it uses."""
    from malgil_core.catalog.errors import CatalogError
    from malgil_core.encoder import EncoderMetadataError
    from malgil_core.index.generation import GenerationError

    from export.errors import ExportError

    return FeedbackError, ExportError, CatalogError, EncoderMetadataError, GenerationError, ValueError
