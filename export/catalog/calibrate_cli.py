"""Command line of `python -m export calibrate`."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from malgil_core.catalog import reading as catalog
from rich.console import Console
from rich.table import Table

from export.catalog import calibrate, embedding, labelled
from export.catalog import cli as catalog_cli
from export.progress import bar

ROWS = 12  # thresholds in the table


def add(commands: Any, repository_option: Callable[[argparse.ArgumentParser], None], console: Console) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "calibrate",
        help="propose a default threshold from labelled queries",
        description="Shows what a default threshold does to labelled queries: precision, recall, and how many queries "
        'that should find nothing do. A line is {"query": "이체 예약", "id": 103, "kind": "keyword"}; '
        "the id is null for queries that should find nothing.",
        epilog="example: `python -m export calibrate catalogs/finance.jsonl benchmarks/data/finance_queries.jsonl`, "
        "then `python -m export catalog publish … --default-threshold` with what it proposes",
    )
    parser.add_argument("catalog", type=Path, help="the catalogue: JSON Lines, one service a line")
    parser.add_argument("queries", type=Path, nargs="+", help="labelled queries: JSON Lines")
    parser.add_argument(
        "--cost", type=_share, default=0.03, help="recall@5 that a threshold may cost, 0 to 1 (default: %(default)s)"
    )
    parser.add_argument("--plot", type=Path, metavar="FILE", help="write the curves as a picture, .png or .svg")
    repository_option(parser)
    parser.set_defaults(run=lambda arguments: _run(arguments, console))


def _run(arguments: argparse.Namespace, console: Console) -> int:
    services = catalog.read(arguments.catalog)
    queries = [one for file in arguments.queries for one in labelled.read(file)]
    metadata = catalog_cli.encoder_metadata(arguments.repository)
    with bar("embedding", console) as advance:
        found = calibrate.answers(services, queries, metadata, embedding.offline(arguments.repository, advance))
    learnt, held_out = (
        [a for a, q in zip(found, queries, strict=True) if q.held_out == held] for held in (False, True)
    )
    points = calibrate.curve(learnt)
    chosen = calibrate.propose(points, arguments.cost)
    table = Table("threshold", "precision@5", "recall@5", "out of scope: nothing", title="default threshold")
    shown = {round(i * (len(points) - 1) / (ROWS - 1)) for i in range(ROWS)} | {points.index(chosen)}
    for i in sorted(shown):
        point = points[i]
        table.add_row(
            f"{point.threshold:.4f}", f"{point.precision:.3f}", f"{point.recall:.3f}", f"{point.empty:.3f}",
            style="bold" if point is chosen else "",
        )  # fmt: skip
    console.print(table)
    before, after = calibrate.at(points[0].threshold, held_out), calibrate.at(chosen.threshold, held_out)
    console.print(
        f"proposed: --default-threshold {chosen.threshold:.4f}\n"
        f"on the other half of the queries: recall@5 {before.recall:.3f} → {after.recall:.3f}, "
        f"precision@5 {before.precision:.3f} → {after.precision:.3f}, "
        f"out of scope and nothing found {before.empty:.3f} → {after.empty:.3f}",
        soft_wrap=True,
    )
    if arguments.plot:
        calibrate.plot(points, chosen, arguments.plot)
        console.print(f"{arguments.plot}", soft_wrap=True)
    return 0


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not from 0 to 1")
    return value
