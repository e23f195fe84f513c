"""The report of an evaluation: rows of figures, each compared with those of the first encoder."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from training.evaluation.metrics import ALL
from training.evaluation.outcome import DENSE, KORQUAD, Outcome
from training.evaluation.settings import Used
from training.evaluation.significance import Comparison, compare

FORMAT = 1  # of the JSON file; see schema.json
SCHEMA = Path(__file__).with_name("schema.json")
# Part, kind, method and metric of the figures that a learning curve shows.
CURVE = (
    ("queries", ALL, DENSE, "recall@1"),
    ("queries", ALL, DENSE, "recall@5"),
    ("passages", KORQUAD, DENSE, "top-1"),
    ("passages", KORQUAD, DENSE, "top-20"),
)


@dataclass(frozen=True)
class About:
    """One encoder of a report.

    Attributes:
        name: in tables.
        fingerprint: equal for encoders that give the same vectors.
        dimension: numbers of an embedding.
        max_length: tokens of a text that are read.
        pairs: sentence pairs and triplets trained on, from the card of `python -m training encoder`; None without one.
        hard_negatives: share of them with a negative mined by BM25; None without a card.
        settings: its settings file; None without one.
    """

    name: str
    fingerprint: str
    dimension: int
    max_length: int
    pairs: int | None = None
    hard_negatives: float | None = None
    settings: Used | None = None


@dataclass(frozen=True)
class Row:
    """Figures of one encoder in one evaluation.

    Attributes:
        part: `korsts`, `queries`, `scope` or `passages`.
        kind: of the queries, or what was done with them.
        method: how they were answered.
        encoder: by name; None where none was needed.
        count: of the queries.
        figures: metric → figure.
        against_first: metric → the difference from the first encoder's figure; empty for the first itself.
    """

    part: str
    kind: str
    method: str
    encoder: str | None
    count: int
    figures: Mapping[str, float]
    against_first: Mapping[str, Comparison] = field(default_factory=dict)


@dataclass(frozen=True)
class Report:
    """The figures of all encoders, the first encoder's first, and what was skipped and why."""

    encoders: Sequence[About]
    rows: Sequence[Row]
    skipped: Sequence[str] = ()

    def of(self, part: str, kind: str | None = None, method: str | None = None) -> list[Row]:
        """The rows of a part, in order."""
        return [
            row for row in self.rows if row.part == part and kind in (None, row.kind) and method in (None, row.method)
        ]

    def curve(self) -> dict[str, dict[str, Row]]:
        """Title → encoder → the row with the figure, for those figures of CURVE that were measured."""
        found = {
            f"{kind}, {method}: {metric}": {str(row.encoder): row for row in self.of(part, kind, method)}
            for part, kind, method, metric in CURVE
        }
        return {title: by_encoder for title, by_encoder in found.items() if by_encoder}

    def write(self, file: Path) -> None:
        """Write the report as JSON."""
        content: dict[str, Any] = {"format": FORMAT, **asdict(self)}
        file.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def rows(found: Mapping[str | None, Sequence[Outcome]]) -> list[Row]:
    """The rows of a report.

    Args:
        found: name of the encoder, the first encoder's first → its outcomes; None → those without an encoder.
    """
    names = [name for name in found if name is not None]
    first = {_key(outcome): outcome for outcome in found[names[0]]} if names else {}
    made = []
    for name, outcomes in found.items():
        for outcome in outcomes:
            base = first.get(_key(outcome)) if name is not None and name != names[0] else None
            against = {
                metric: compare(base.values[metric], values) for metric, values in outcome.values.items() if base
            }
            made.append(Row(outcome.part, outcome.kind, outcome.method, name, outcome.count, outcome.figures, against))
    return made


def _key(outcome: Outcome) -> tuple[str, str, str]:
    return outcome.part, outcome.kind, outcome.method
