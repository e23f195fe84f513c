"""The command `python -m documents`: documents into the vector engine, and out of it."""

from __future__ import annotations

import sys

import click

from documents.cli import delete, ingest, list_documents, rebuild, verify
from documents.errors import DocumentsError
from documents.evaluate_cli import evaluate
from documents.search_cli import search
from export.command import run
from export.errors import ExportError

EPILOG = """\b
A first time, with an exported encoder:
  milvus-lite server --data-dir documents-data --host 127.0.0.1 --port 19530
  python -m documents ingest articles.jsonl --offline
  python -m documents search "이체 한도 늘리기" --offline

\b
Exit status:
  0  done    1  refused, with a sentence that says why    2  wrong usage
"""


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog=EPILOG,
)
def cli() -> None:
    """Keep documents in a vector engine, and search them."""


for command in (ingest, rebuild, delete, list_documents, verify, search, evaluate):
    cli.add_command(command)


def main(argv: list[str] | None = None) -> int:
    """Run one command; its exit status: 0 done, 1 refused with a sentence on stderr, 2 wrong usage."""
    left = "the same command goes on from there"
    return run(cli, argv, "python -m documents", left, lambda: (DocumentsError, ExportError, ValueError))


if __name__ == "__main__":
    sys.exit(main())
