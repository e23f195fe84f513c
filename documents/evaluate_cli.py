"""The command `python -m documents evaluate`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from documents import options
from export import ROOT

ARTICLES = ROOT / "catalogs" / "finance_articles.jsonl"
QUESTIONS = ROOT / "catalogs" / "finance_article_queries.jsonl"


@click.command(
    epilog="""\b
Example:
  python -m documents evaluate --offline --data ~/data --json figures.json"""
)
@click.option(
    "--data", type=options.PATH, metavar="FOLDER",
    help="Public data as well: the folder with korquad/KorQuAD_v1.0_dev.json.",
)  # fmt: skip
@click.option(
    "--articles", type=options.PATH, metavar="FILE", default=ARTICLES, help="Documents. Default: the sample's."
)
@click.option(
    "--questions",
    type=options.PATH,
    metavar="FILE",
    default=QUESTIONS,
    help="Labelled questions. Default: the sample's.",
)
@click.option("--without-phrases", is_flag=True, help="Leave the phrases of the articles out.")
@click.option("--json", "file", type=options.PATH, metavar="FILE", help="Write {set: {method: {metric: value}}}.")
@options.encoder
def evaluate(
    data: Path | None, articles: Path, questions: Path, without_phrases: bool, file: Path | None, **given: Any
) -> None:  # fmt: skip
    """Measure recall and MRR of BM25, dense similarity and both, on a milvus-lite that it starts for this."""
    from documents import evaluate as measuring
    from documents import sources

    figures: measuring.Figures = {}
    if articles.exists() and questions.exists():
        refused: list[str] = []
        records = list(sources.read([articles], lambda place, sentence: refused.append(f"{place}: {sentence}")))
        click.echo("\n".join(refused), err=True, nl=bool(refused))
        if without_phrases:
            records = [(place, replace(one, phrases=())) for place, one in records]
        figures |= _measured("articles", records, measuring.labelled(questions), given)
    else:
        click.echo(f"skipped: there is no {articles} with {questions}")
    if data is not None and (korquad := data / measuring.KORQUAD).exists():
        figures |= _measured("korquad", *measuring.korquad(korquad), given)
    elif data is not None:
        click.echo(f"skipped: there is no {measuring.KORQUAD} in {data}")
    for name, methods in figures.items():
        for method, values in methods.items():
            numbers = " ".join(f"{value:.3f}" for metric, value in values.items() if metric != "queries")
            click.echo(f"{name:24} {method:6} {numbers}  ({values['queries']:.0f})")
    if file is not None:
        file.write_text(json.dumps(figures, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def _measured(name: str, records: Iterable[Any], questions: list[Any], given: dict[str, Any]) -> Any:
    from malgil_core.text.tokenization import Tokenization

    from documents import collection, run
    from documents import evaluate as measuring
    from documents.embedded import embedded
    from documents.engine import Access, Engine
    from documents.ingest import Ingest
    from documents.passages import Splitter
    from documents.search import Searcher

    refuse: Callable[[str, str], None] = lambda place, sentence: click.echo(f"{place}: {sentence}", err=True)  # noqa: E731
    with embedded() as uri:
        engine = Engine(Access(uri))
        collection_name, state = run.created(engine, given["repository"], None)
        splitter = Splitter(Tokenization.load(given["repository"] / "tokenizer" / "1"))
        with options.embedding("passage", **given) as embed, options.embedding("phrase", **given) as phrases:
            work = Ingest(engine, collection_name, state, splitter, embed, refuse, embed_phrases=phrases)
            click.echo(f"{name}: {work.run(records)}")
        collection.point(engine, collection.ALIAS, collection_name)
        searcher = Searcher(engine)
        with options.embedding("query", **given) as embed:
            figures = measuring.measure(searcher, questions, embed, name)
        searcher.close()
        engine.close()
    return figures
