"""Ratios of two figures that were measured in turns: median, spread, target; as a table and as JSON."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.table import Table


@dataclass(frozen=True)
class Ratio:
    """A figure of this project over another's, run by run.

    Attributes:
        id: the comparison's letter.
        name: what is compared with what.
        ours: our figure in each run, in `unit`.
        other: the other's figure in the same runs.
        target: what the ratio should reach, or None where none was set.
        at_most: whether the ratio should stay below the target (times) instead of above it (rates).
        unit: of both figures.
        details: more that helps to read the figure (encoder, batch, threads, …), for the JSON.
    """

    id: str
    name: str
    ours: Sequence[float]
    other: Sequence[float]
    target: float | None
    at_most: bool = False
    unit: str = "requests/s"
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def ratios(self) -> list[float]:
        """One ratio a run: both figures of it were measured one after the other, so that a drift cancels."""
        return [a / b for a, b in zip(self.ours, self.other, strict=True)]

    @property
    def ratio(self) -> float:
        """The median of the runs' ratios."""
        return statistics.median(self.ratios)

    @property
    def low(self) -> float:
        """The lowest of the runs' ratios."""
        return min(self.ratios)

    @property
    def high(self) -> float:
        """The highest of the runs' ratios."""
        return max(self.ratios)

    @property
    def met(self) -> bool | None:
        """Whether the median reaches the target; None without a target."""
        if self.target is None:
            return None
        return self.ratio <= self.target if self.at_most else self.ratio >= self.target

    def to_json(self) -> dict[str, Any]:
        """What `--json` writes for this ratio; `runs` is how many."""
        return {
            "id": self.id,
            "name": self.name,
            "ratio": self.ratio,
            "low": self.low,
            "high": self.high,
            "target": self.target,
            "runs": len(self.ratios),
            "better": "lower" if self.at_most else "higher",
            "met": self.met,
            "unit": self.unit,
            "ours": list(self.ours),
            "other": list(self.other),
            **self.details,
        }


def table(ratios: Sequence[Ratio]) -> Table:
    """One row a ratio, with the median figures of both sides."""
    rows = Table(
        "", "comparison", "ratio", "spread", "target", "ours", "other", title="runs in turns: median and spread"
    )
    for i, one in enumerate(ratios):
        if i and ratios[i - 1].id != one.id:
            rows.add_section()
        target = "" if one.target is None else f"{'≤' if one.at_most else '≥'} {one.target:g}"
        verdict = {None: "", True: "\nmet", False: "\n[red]missed"}[one.met]
        ours, other = (f"{short(statistics.median(side))}\n{one.unit}" for side in (one.ours, one.other))
        spread = f"{short(one.low)}…{short(one.high)}"
        rows.add_row(one.id, one.name, short(one.ratio), spread, target + verdict, ours, other)
    return rows


def short(value: float) -> str:
    """A number in three digits."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}" if value >= 10 else f"{value:.2f}"
