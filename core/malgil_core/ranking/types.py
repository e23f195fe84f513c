"""Types that ranking shares: the index it reads, the options of a query, and the hits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from malgil_core.index.generation import NullPhrases
from malgil_core.lexical.index import LexicalMatches

DECIMALS = 6  # of scores: equal ones must tie, and float32 products add in another order for another batch

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


class Index(Protocol):
    """The arrays of a generation that ranking reads: P phrases of S services (see index.generation.Generation)."""

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

    @property
    def null(self) -> NullPhrases | None:
        """What the app does not do, if the catalog says."""


@dataclass(frozen=True)
class QueryOptions:
    """The options of one query."""

    top_k: int = 10
    surface: str | None = None
    min_score: float | None = None
    null: bool = True  # whether null phrases can leave the answer empty


@dataclass(frozen=True)
class NullMatch:
    """The null phrase that scores highest for a query, and whether the query was refused."""

    row: int  # index of the null phrase
    score: float
    refused_by: str  # "null": by this phrase; "floor": no service scores high enough; "": not refused
    best: float  # score of the best service, whatever the options of the query


@dataclass(frozen=True)
class Ranked:
    """The hits of one query, best first, at most `top_k`."""

    services: Ints  # [n]: index of the service in the generation
    rows: Ints  # [n]: index of the phrase that matched
    scores: Floats  # [n]
    dense: Floats  # [n]: cosine of the service's nearest phrase
    lexical: Floats  # [n]: lexical score, 0 to 1
    null: NullMatch | None = None  # unless the query was not compared with null phrases

    @classmethod
    def from_dense(cls, services: Ints, rows: Ints, dense: Floats) -> Ranked:
        """Hits without a lexical match: the score is the cosine."""
        return cls(services, rows, dense, dense, np.zeros_like(dense))

    @classmethod
    def empty(cls) -> Ranked:
        """No hits."""
        return cls.from_dense(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32))

    def with_null(self, null: NullMatch) -> Ranked:
        """The same hits, compared with null phrases."""
        return Ranked(self.services, self.rows, self.scores, self.dense, self.lexical, null)

    def take(self, places: Ints) -> Ranked:
        """The hits at these places, in their order."""
        return Ranked(
            self.services[places],
            self.rows[places],
            self.scores[places],
            self.dense[places],
            self.lexical[places],
            self.null,
        )


@dataclass(frozen=True)
class Layers:
    """The personal layers of a batch of queries; personal.py says what they do.

    Attributes:
        rows: [n], ascending: the queries that have one.
        vectors: [n, 2·D]: scale, then shift.
    """

    rows: Ints
    vectors: Floats

    @classmethod
    def of(cls, layers: Sequence[Floats | None]) -> Layers:
        """The layers of a batch: for each query its own, or None."""
        rows = [row for row, layer in enumerate(layers) if layer is not None]
        vectors = [layer for layer in layers if layer is not None]
        return cls(np.array(rows, dtype=np.int64), np.stack(vectors)) if rows else NO_LAYERS


NO_LAYERS = Layers(np.empty(0, np.int64), np.empty((0, 0), np.float32))


class Scorer(Protocol):
    """Ranks the services of one generation on one device."""

    def join(self, embeddings: Sequence[Any]) -> Any:
        """The embeddings [b, D] of several requests as one batch [B, D] of unit rows, where `rank` wants them."""

    def rank(
        self,
        embeddings: Any,
        options: Sequence[QueryOptions],
        matches: Sequence[LexicalMatches] = (),
        layers: Layers = NO_LAYERS,
    ) -> list[Ranked]:
        """Rank for each row of `embeddings`, float32 [B, D], unit length.

        Args:
            embeddings: of the queries.
            options: [B].
            matches: [B], the lexical matches of each query, or empty: rank by cosine alone.
            layers: personal layers of some of the queries.
        """


class BatchThresholds:
    """The lowest score with which each service is shown to each query of a batch.

    Args:
        distinct: [U, S], thresholds of services.
        which: [B], those of each query.
    """

    def __init__(self, distinct: Floats, which: Ints) -> None:
        self._distinct, self._which = distinct, which

    def of(self, queries: Ints, services: npt.NDArray[Any]) -> Floats:
        """The thresholds for pairs of a query of the batch and a service, [n]."""
        if len(self._distinct) == 1:
            thresholds: Floats = self._distinct[0][services]
        else:
            thresholds = self._distinct[self._which[queries], services]
        return thresholds

    def lowest(self) -> Floats:
        """The lowest of the thresholds for each query, [B]."""
        lowest: Floats = self._distinct.min(axis=1)[self._which]
        return lowest

    def table(self) -> Floats:
        """The threshold of each service for each query, [B, S]."""
        table: Floats = self._distinct[self._which]
        return table


class ScoreThresholds:
    """The lowest score with which each service is shown, by surface: its threshold, or +inf where it is not shown."""

    def __init__(self, index: Index) -> None:
        self._by_surface: dict[str | None, Floats] = {None: index.thresholds}
        for surface, shown in index.surfaces.items():
            self._by_surface[surface] = np.where(shown, index.thresholds, np.float32(np.inf))

    def of(self, options: Sequence[QueryOptions]) -> BatchThresholds:
        """The thresholds for a batch with these options."""
        keys = [(query.surface, query.min_score) for query in options]
        distinct = {key: place for place, key in enumerate(dict.fromkeys(keys))}
        thresholds = np.array([self._thresholds(*key) for key in distinct])
        return BatchThresholds(thresholds, np.array([distinct[key] for key in keys], dtype=np.int64))

    def _thresholds(self, surface: str | None, min_score: float | None) -> Floats:
        thresholds = self._by_surface[surface]
        return thresholds if min_score is None else np.maximum(thresholds, np.float32(min_score))
