"""Command line of `python -m benchmarks quality` and `tune`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import malgil
from malgil_core.catalog.reading import read as read_catalog
from malgil_core.ranking.types import Floats
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from benchmarks.methods import Embed, as_array
from benchmarks.serving import serving
from export import ROOT
from export.catalog import labelled
from export.catalog.labelled import Labelled

CATALOG = ROOT / "catalogs" / "finance.jsonl"
QUERIES = ROOT / "benchmarks" / "data" / "finance_queries.jsonl"
SLIPS = ROOT / "benchmarks" / "data" / "finance_slips.jsonl"
CHUNK = 256  # texts between two steps of the bar


def add(command: Callable[..., argparse.ArgumentParser], console: Console) -> None:
    """Add both commands; `command(name, run, text)` makes one."""
    quality = command(
        "quality",
        lambda arguments: _quality(arguments, console),
        "Recall and MRR of BM25, meaning alone, a linear mix and Malgil, on labelled queries and what becomes of them "
        "when people mistype. Figures are of the half that nothing was tuned on.",
    )
    quality.add_argument("--json", type=Path, metavar="FILE", help="write {kind: {method: {metric: value}}}")
    quality.add_argument("--data", type=Path, metavar="DIR", help="public data: question_pair/kor_Pair_test.csv")
    tune = command(
        "tune",
        lambda arguments: _tune(arguments, console),
        "Search for better weights of the letters, on the half of the queries that no figure is reported on.",
    )
    tune.add_argument("--seconds", type=float, default=120, help="how long (default: %(default)g)")
    tune.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    for each in (quality, tune):
        each.add_argument("--url", help="gRPC HOST:PORT of a running server, for its encoder (default: start one)")
        each.add_argument("--catalog", type=Path, default=CATALOG, help="what can be found (default: the sample)")
        each.add_argument(
            "--queries", type=Path, nargs="+", default=[QUERIES, SLIPS], help="labelled queries (default: the sample's)"
        )


def _quality(arguments: argparse.Namespace, console: Console) -> None:
    from benchmarks import quality

    services = read_catalog(arguments.catalog)
    queries = quality.everything(_read(arguments.queries), services)
    with embedding(arguments.url, console) as embed:
        report = quality.measure(services, queries, embed)
        figures = report.figures
        if arguments.data and (file := arguments.data / quality.PAIRS).exists():
            figures |= quality.pairs(file, embed)
        elif arguments.data:
            console.print(f"skipped: there is no {quality.PAIRS} in {arguments.data}")
    console.print(_table(figures))
    if report.keystrokes:
        title = f"keys until the right service is among the first {quality.IN_SIGHT}:"
        console.print(title, *report.keystrokes, sep="\n  ")
    if report.kept:
        console.print("recall@5 of mistyped queries, of that of the same queries clean:", *report.kept, sep="\n  ")
    console.print("what comes first where the right service is not among the first 5:", *report.confusions, sep="\n  ")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def _tune(arguments: argparse.Namespace, console: Console) -> None:
    from benchmarks import quality, tune

    services = read_catalog(arguments.catalog)
    queries = quality.everything(_read(arguments.queries), services)
    with embedding(arguments.url, console) as embed:
        tune.search(services, queries, embed, arguments.seconds, arguments.seed, console.print)


@contextmanager
def embedding(url: str | None, console: Console) -> Iterator[Embed]:
    """What embeds queries through a live server, with a bar."""
    columns = (TextColumn("embedding"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with serving(url) as found, malgil.SearchClient(found, timeout=60) as client:

        def embed(texts: Sequence[str]) -> Floats:
            vectors = []
            with Progress(*columns, console=console, transient=True) as bar:
                for at in bar.track(range(0, len(texts), CHUNK)):
                    vectors.append(client.embed(texts[at : at + CHUNK]))
            return as_array([row for part in vectors for row in part])

        yield embed


def _read(files: Sequence[Path]) -> list[Labelled]:
    return [one for file in files for one in labelled.read(file)]


def _table(figures: dict[str, dict[str, dict[str, float]]]) -> Table:
    table = Table("kind", "queries", title="held-out half: recall@1, recall@5, MRR@10")
    methods = list(next(iter(figures.values())))
    for method in methods:
        table.add_column(method, justify="right")
    for kind, by_method in figures.items():
        cells = [
            " ".join(f"{own[name]:.3f}" for name in ("recall@1", "recall@5", "mrr@10")) for own in by_method.values()
        ]
        table.add_row(kind, str(int(by_method["malgil"]["queries"])), *cells)
    return table
