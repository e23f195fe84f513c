"""The outcome of one evaluation of one encoder: its figures, and the value of each query that they are means of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from training.evaluation.metrics import Doubles, means

DENSE, LEXICAL = "dense", "dense and lexical"
BM25, BOTH = "BM25", "BM25 + dense"
KORQUAD = "KorQuAD"


@dataclass(frozen=True)
class Outcome:
    """Figures of one encoder.

    Attributes:
        part: the evaluation: `korsts`, `queries`, `scope` or `passages`.
        kind: of the queries, or what was done with them.
        method: how they were answered.
        values: metric → a value for each query, [n]; the same queries in the same order for each encoder.
        extra: figures that are no means over queries.
    """

    part: str
    kind: str
    method: str
    values: Mapping[str, Doubles]
    extra: Mapping[str, float] = field(default_factory=dict)

    @property
    def figures(self) -> dict[str, float]:
        """Metric → figure."""
        return {**means(self.values), **self.extra}

    @property
    def count(self) -> int:
        """The number of queries."""
        return len(next(iter(self.values.values())))
