"""The command `python -m export calibrate`."""

from __future__ import annotations

from pathlib import Path

import click

from export import options

ROWS = 12  # thresholds in the table


@click.command(
    epilog="""\b
Example, and then `catalog publish` with what it proposes:
  python -m export calibrate catalogs/finance.jsonl catalogs/finance_queries.jsonl
  python -m export catalog publish catalogs/finance.jsonl --default-threshold 0.883"""
)
@click.argument("catalog", type=options.PATH)
@click.argument("queries", type=options.PATH, nargs=-1, required=True)
@click.option(
    "--cost",
    type=options.Between(0, 1),
    default=0.03,
    show_default=True,
    metavar="SHARE",
    help="Recall@5 that a threshold may cost, 0 to 1.",
)
@click.option("--plot", type=options.PATH, metavar="FILE", help="Write the curves as a picture, .png or .svg.")
@options.repository
def calibrate(catalog: Path, queries: tuple[Path, ...], cost: float, plot: Path | None, repository: Path) -> None:
    """Propose a default threshold from labelled queries.

    Shows what a default threshold does to them: precision, recall, and how many queries that should find nothing do.

    CATALOG is JSON Lines, one service a line. QUERIES is JSON Lines, too, one query a line; the id is null for queries
    that should find nothing:

    \b
    {"query": "이체 예약", "id": 103, "kind": "keyword"}
    """
    from malgil_core.catalog import reading
    from malgil_core.encoder import EncoderMetadata
    from rich.table import Table

    from export.catalog import calibrate as calibration
    from export.catalog import embedding, labelled
    from export.console import CONSOLE
    from export.progress import bar

    if plot is not None:
        calibration.check_picture(plot)
    services = reading.read(catalog)
    asked = [query for file in queries for query in labelled.read(file)]
    metadata = EncoderMetadata.of(repository)
    with bar("embedding", CONSOLE) as advance:
        found = calibration.answers(services, asked, metadata, embedding.offline(repository, advance))
    tuned_on, held_out = (
        [answer for answer, query in zip(found, asked, strict=True) if query.held_out == held] for held in (False, True)
    )
    points = calibration.curve(tuned_on)
    chosen = calibration.propose(points, cost)
    table = Table("threshold", "precision@5", "recall@5", "out of scope: nothing", title="default threshold")
    shown = {round(i * (len(points) - 1) / (ROWS - 1)) for i in range(ROWS)} | {points.index(chosen)}
    for i in sorted(shown):
        point = points[i]
        table.add_row(
            f"{point.threshold:.4f}", f"{point.precision:.3f}", f"{point.recall:.3f}", f"{point.empty:.3f}",
            style="bold" if point is chosen else "",
        )  # fmt: skip
    CONSOLE.print(table)
    before, after = calibration.at(points[0].threshold, held_out), calibration.at(chosen.threshold, held_out)
    click.echo(
        f"proposed: --default-threshold {chosen.threshold:.4f}\n"
        f"on the other half of the queries: recall@5 {before.recall:.3f} → {after.recall:.3f}, "
        f"precision@5 {before.precision:.3f} → {after.precision:.3f}, "
        f"out of scope and nothing found {before.empty:.3f} → {after.empty:.3f}"
    )
    if plot is not None:
        calibration.plot(points, chosen, plot)
        click.echo(plot)
