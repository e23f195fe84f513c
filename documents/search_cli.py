"""The command `python -m documents search`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from malgil_core.documents.types import DEFAULT_TOP_K, MAX_TOP_K, DocumentOptions

from documents import options


@click.command(
    epilog="""\b
Examples:
  python -m documents search "이체 한도 늘리기"
  python -m documents search "수수료" --filter '{"category": "송금", "updated_from": "2025-01-01"}'"""
)
@click.argument("query")
@click.option(
    "--top-k", type=click.IntRange(1, MAX_TOP_K), default=DEFAULT_TOP_K, show_default=True, help="Documents shown."
)
@click.option("--filter", "chosen", default="", metavar="JSON", help="Which documents: docs/documents.md#filters.")
@options.engine
@options.encoder
def search(
    query: str, top_k: int, chosen: str, uri: str, token_file: Path | None, engine_ca: Path | None, **given: Any
) -> None:
    """Search the documents, as a server would."""
    from malgil_core.documents.filters import parse_filter
    from malgil_core.encoder import EncoderMetadata
    from malgil_core.text.validation import parse_text

    from documents.search import Searcher

    query = parse_text("query", query.encode("utf-8", "surrogateescape"))
    wanted = DocumentOptions(top_k, parse_filter(chosen))
    engine = options.connected(uri, token_file, engine_ca)
    searcher = Searcher(engine, EncoderMetadata.of(given["repository"]).fingerprint)
    with options.embedding("query", **given) as embed:
        (found,) = searcher.search([query], embed([query]), [wanted])
    for one in found:
        text = one.snippet
        for start, end in reversed(one.highlights):
            text = f"{text[:start]}{click.style(text[start:end], bold=True)}{text[end:]}"
        click.echo(f"{one.score:.3f}  {one.title}  {one.url}\n       {text}")
    searcher.close()
