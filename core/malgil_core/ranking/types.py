"""Types that ranking shares: the index it reads, what a query asks for, and what it gets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from malgil_core.lexical.index import LexicalMatches

DECIMALS = 6  # of scores: what is equal must tie, and float32 products add in another order for another batch

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


class Index(Protocol):
    """What ranking reads of a generation (see generation.Generation)."""

    @property
    def matrix(self) -> Floats:
        """[P, D], unit rows."""

    @property
    def service_of_row(self) -> npt.NDArray[np.int32]:
        """[P], ascending."""

    @property
    def ids_padded(self) -> Ints:
        """[S + 1]."""

    @property
    def thresholds(self) -> Floats:
        """[S]."""

    @property
    def surfaces(self) -> dict[str, npt.NDArray[np.bool_]]:
        """Surface → [S]."""


@dataclass(frozen=True)
class QueryOptions:
    """What one query asks for."""

    top_k: int = 10
    surface: str | None = None
    min_score: float | None = None


@dataclass(frozen=True)
class Ranked:
    """The hits of one query, best first, at most `top_k`."""

    services: Ints  # [n]: index of the service in the generation
    rows: Ints  # [n]: index of the phrase that matched
    scores: Floats  # [n]
    dense: Floats  # [n]: cosine of the service's nearest phrase
    lexical: Floats  # [n]: evidence of the letters, 0 to 1

    @classmethod
    def by_meaning(cls, services: Ints, rows: Ints, dense: Floats) -> Ranked:
        """Hits without evidence of letters: they score as their cosine."""
        return cls(services, rows, dense, dense, np.zeros_like(dense))

    @classmethod
    def nothing(cls) -> Ranked:
        """No hits."""
        return cls.by_meaning(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32))

    def at(self, places: Ints) -> Ranked:
        """The hits at these places, in their order."""
        return Ranked(
            self.services[places], self.rows[places], self.scores[places], self.dense[places], self.lexical[places]
        )


class Scorer(Protocol):
    """Ranks on one device."""

    def rank(
        self, embeddings: Any, options: Sequence[QueryOptions], evidence: Sequence[LexicalMatches] = ()
    ) -> list[Ranked]:
        """Rank for each row of `embeddings`, float32 [B, D], unit length, with the evidence of each if there is any."""


class ScoreThresholds:
    """The least score that each service needs to be shown, by surface: its threshold, or +inf where not shown."""

    def __init__(self, index: Index) -> None:
        self._by_surface: dict[str | None, Floats] = {None: index.thresholds}
        for surface, shown in index.surfaces.items():
            self._by_surface[surface] = np.where(shown, index.thresholds, np.float32(np.inf))

    def of(self, wanted: QueryOptions) -> Floats:
        """float32 [S]."""
        floor = self._by_surface[wanted.surface]
        return floor if wanted.min_score is None else np.maximum(floor, np.float32(wanted.min_score))
