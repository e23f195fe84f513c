"""The tables of `python -m export catalog calibrate`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields

import click
from malgil_core.lexical.index import Weights
from rich.table import Table

from export.catalog.calibration import Chosen
from export.catalog.service_thresholds import Proposal
from export.catalog.weights import Figures
from export.console import CONSOLE

ROWS = 12  # margins or thresholds in a table
OTHER_HALF = "on the half of the queries that nothing was chosen on"


def show(chosen: Chosen) -> None:
    """Print what was chosen, and what each choice changes."""
    _weights(chosen)
    if chosen.proposals:
        _service_thresholds(chosen.proposals)
    if chosen.limits:
        _margins(chosen)
    _thresholds(chosen)
    table = Table("after choosing", "precision@5", "recall@5", "out of scope: nothing", title=OTHER_HALF)
    for name, point in chosen.steps.items():
        table.add_row(name, f"{point.precision:.3f}", f"{point.recall:.3f}", f"{point.empty:.3f}")
    CONSOLE.print(table)


def _weights(chosen: Chosen) -> None:
    """Print the weights of lexical matches that changed, and what they do by kind of query."""
    in_use, found = asdict(Weights()), asdict(chosen.weights)
    changed = [field.name for field in fields(Weights) if in_use[field.name] != found[field.name]]
    if not changed:
        click.echo("weights of lexical matches: those in use")
        return
    table = Table("kind", "queries", "before", "after", title=f"{OTHER_HALF}: recall@1, recall@5, MRR@10")
    before, after = chosen.lexical
    for kind, figures in after.items():
        table.add_row(kind, str(figures.queries), _three(before[kind]), _three(figures))
    CONSOLE.print(table)
    click.echo("weights: " + ", ".join(f"{name} {in_use[name]:g} → {found[name]:g}" for name in changed))
    old, new = (_value(one) for one in chosen.lexical)
    if new < old:
        click.echo(
            f"the mean of recall@5 and MRR@10 falls there by {old - new:.3f}: --steps 0 keeps the weights in use"
        )


def _service_thresholds(proposals: Sequence[Proposal]) -> None:
    """Print the thresholds of services, in the catalog and proposed."""
    table = Table("id", "service", "catalog", "of its queries lost", "proposed", title="thresholds of services")
    for one in proposals:
        lost = f"{one.lost:.0%} of {one.queries}"
        table.add_row(str(one.id), one.name, f"{one.catalog:.4f}", lost, f"{one.threshold:.4f}")
    CONSOLE.print(table)


def _margins(chosen: Chosen) -> None:
    """Print what margins of null phrases do, the proposed one, and that which a publish sets by itself."""
    assert chosen.limits
    assert chosen.unlabelled
    table = Table("margin", "recall@5", "out of scope: nothing", title=f"null phrases, floor {chosen.limits.floor:.4f}")
    margins = [point.margin for point in chosen.margins]
    for i in sorted({*_spread(margins), margins.index(chosen.margin)}):
        point = chosen.margins[i]
        style = "bold" if point.margin == chosen.margin else ""
        table.add_row(f"{point.margin:.4f}", f"{point.recall:.3f}", f"{point.empty:.3f}", style=style)
    CONSOLE.print(table)
    click.echo(
        f"proposed: --null-margin {chosen.margin:.4f} (without labels, by publish: {chosen.unlabelled.margin:.4f})"
    )


def _thresholds(chosen: Chosen) -> None:
    """Print what thresholds do, and the proposed one."""
    table = Table("threshold", "precision@5", "recall@5", "out of scope: nothing", title="default threshold")
    for i in sorted({*_spread(chosen.points), chosen.points.index(chosen.point)}):
        point = chosen.points[i]
        table.add_row(
            f"{point.threshold:.4f}", f"{point.precision:.3f}", f"{point.recall:.3f}", f"{point.empty:.3f}",
            style="bold" if point is chosen.point else "",
        )  # fmt: skip
    CONSOLE.print(table)
    sentence = f"proposed: --default-threshold {chosen.point.threshold:.4f}"
    if chosen.default_threshold is None:
        sentence += "; it costs more recall than it leaves queries out of scope empty, so none is written"
    click.echo(sentence)


def _three(figures: Figures) -> str:
    return f"{figures.recall_1:.3f} {figures.recall_5:.3f} {figures.mrr:.3f}"


def _value(figures: dict[str, Figures]) -> float:
    """The mean over kinds."""
    return sum(one.recall_5 + one.mrr for one in figures.values()) / 2 / max(len(figures), 1)


def _spread(points: Sequence[object]) -> list[int]:
    """The places of ROWS points, the first and the last among them."""
    return [round(i * (len(points) - 1) / (ROWS - 1)) for i in range(ROWS)]
