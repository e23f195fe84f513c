"""Plots of a report."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

from matplotlib.figure import Figure

from feedback.log import Row

SHARES = {"chosen": "chosen", "chosen_first": "the first hit chosen", "empty": "empty", "refused": "refused"}


def over_time(rows: Sequence[Row], file: Path) -> None:
    """Searches, and the shares of what came of them, over time."""
    times = [datetime.fromtimestamp(row["at_ms"] / 1000, timezone.utc) for row in rows]
    figure = Figure((8, 5), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True)
    above.plot(times, [row["searches"] for row in rows], marker=".")
    above.set_ylabel("searches")
    above.set_ylim(bottom=0)
    for name, label in SHARES.items():
        below.plot(times, [row[name] for row in rows], marker=".", label=label)
    below.set_ylim(0, 1)
    below.set_ylabel("share of searches")
    below.legend()
    figure.autofmt_xdate()
    _save(figure, file)


def ranks(rows: Sequence[Row], file: Path) -> None:
    """Click-through by rank, as measured: high ranks are chosen more because they are seen more."""
    figure = Figure((6, 4), layout="constrained")
    axes = figure.subplots()
    axes.bar([row["rank"] for row in rows], [row["share"] for row in rows])
    axes.set_xlabel("rank")
    axes.set_ylabel("share chosen of those shown")
    _save(figure, file)


def _save(figure: Figure, file: Path) -> None:
    figure.savefig(file, dpi=150)
