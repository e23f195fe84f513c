"""The command `python -m export calibrate`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from export import options

if TYPE_CHECKING:  # it imports NumPy, which other commands do without
    from export.catalog.calibrate import Answer, Limits, MarginPoint, Point

ROWS = 12  # margins or thresholds in a table


@click.command(
    epilog="""\b
Example, and then `catalog publish` with what it proposes:
  python -m export calibrate catalogs/finance.jsonl catalogs/finance_queries.jsonl
  python -m export catalog publish catalogs/finance.jsonl --default-threshold 0.883

With null phrases, add --null-topics catalogs/null_topics.jsonl to both, and --null-margin to the second."""
)
@click.argument("catalog", type=options.PATH)
@click.argument("queries", type=options.PATH, nargs=-1, required=True)
@click.option(
    "--cost",
    type=options.Between(0, 1),
    default=0.03,
    show_default=True,
    metavar="SHARE",
    help="Recall@5 that the margin may cost, and the threshold on top of it, 0 to 1.",
)
@click.option("--plot", type=options.PATH, metavar="FILE", help="Write the curves as a picture, .png or .svg.")
@options.null_topics
@options.repository
def calibrate(
    catalog: Path,
    queries: tuple[Path, ...],
    cost: float,
    plot: Path | None,
    null_topics: tuple[Path, ...],
    repository: Path,
) -> None:
    """Propose a margin of null phrases and a default threshold from labelled queries.

    Shows what each does to them: precision, recall, and how many queries that should find nothing do. Thresholds are
    those on top of the proposed margin, and cost further recall.

    CATALOG is JSON Lines, one service or null topic a line. QUERIES is JSON Lines, too, one query a line; the id is
    null for queries that should find nothing:

    \b
    {"query": "이체 예약", "id": 103, "kind": "keyword"}
    """
    from malgil_core.catalog import reading
    from malgil_core.encoder import EncoderMetadata

    from export.catalog import calibrate as calibration
    from export.catalog import embedding, labelled
    from export.console import CONSOLE
    from export.progress import bar

    if plot is not None:
        calibration.check_picture(plot)
    found = reading.read_catalog(catalog, null_topics)
    asked = [query for file in queries for query in labelled.read(file)]
    metadata = EncoderMetadata.of(repository)
    with bar("embedding", CONSOLE) as advance:
        answers, limits = calibration.answers(found, asked, metadata, embedding.offline(repository, advance))
    tuned_on, held_out = (
        [answer for answer, query in zip(answers, asked, strict=True) if query.held_out == held]
        for held in (False, True)
    )
    margins: list[MarginPoint] = []
    margin = 0.0
    if limits:
        margins = calibration.margins(tuned_on, limits.floor)
        proposed = calibration.propose_margin(margins, tuned_on, cost)
        _show_margins(margins, proposed, tuned_on, held_out, limits)
        margin = proposed.margin
        chosen_limits = replace(limits, margin=margin)
        tuned_on, held_out = ([one.with_margin(chosen_limits) for one in half] for half in (tuned_on, held_out))
    points = calibration.curve(tuned_on)
    chosen = calibration.propose(points, cost)
    _show_thresholds(points, chosen, held_out)
    if plot is not None:
        calibration.plot(points, chosen, plot, margins, margin)
        click.echo(plot)


def _show_margins(
    points: Sequence[MarginPoint],
    proposed: MarginPoint,
    tuned_on: Sequence[Answer],
    held_out: Sequence[Answer],
    published: Limits,
) -> None:
    """Print what margins do, the proposed one, and that which a publish sets by itself."""
    from rich.table import Table

    from export.catalog import calibrate as calibration
    from export.console import CONSOLE

    table = Table("margin", "recall@5", "out of scope: nothing", title=f"null phrases, floor {published.floor:.4f}")
    for i in sorted({*_spread(points), points.index(proposed)}):
        point = points[i]
        style = "bold" if point is proposed else ""
        table.add_row(f"{point.margin:.4f}", f"{point.recall:.3f}", f"{point.empty:.3f}", style=style)
    CONSOLE.print(table)
    without = calibration.at(-1, held_out)
    for name, limits in (
        (f"proposed: --null-margin {proposed.margin:.4f}", replace(published, margin=proposed.margin)),
        (f"without labels, by publish: {published.margin:.4f}", published),
    ):
        point = calibration.margin_at(limits, held_out)
        click.echo(
            f"{name}\non the other half of the queries: recall@5 {without.recall:.3f} → {point.recall:.3f}, "
            f"out of scope and nothing found {without.empty:.3f} → {point.empty:.3f}"
        )


def _show_thresholds(points: Sequence[Point], chosen: Point, held_out: Sequence[Answer]) -> None:
    """Print what thresholds do, and the proposed one."""
    from rich.table import Table

    from export.catalog import calibrate as calibration
    from export.console import CONSOLE

    table = Table("threshold", "precision@5", "recall@5", "out of scope: nothing", title="default threshold")
    for i in sorted({*_spread(points), points.index(chosen)}):
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


def _spread(points: Sequence[object]) -> list[int]:
    """The places of ROWS points, the first and the last among them."""
    return [round(i * (len(points) - 1) / (ROWS - 1)) for i in range(ROWS)]
