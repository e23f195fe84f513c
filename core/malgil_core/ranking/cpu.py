"""Exact ranking of services for a batch of query embeddings. Pure: no Triton here.

By meaning a service scores as its best phrase: dense(q, s) = max over the phrases p of s of cos(q, p). What may be
among the best is scored again in float64 and rounded to six decimals: a float32 product adds in another order for
another batch size, place or device, and equal phrases must tie, and a query score the same, whatever the order. Ties go
to the smaller id. What the letters of a query say comes on top: see fusion.py.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from malgil_core.lexical.index import NONE, Evidence
from malgil_core.ranking.fusion import DECIMALS, merge, rows_of, services_of

ROUNDING = 1e-5  # more than a float32 product of unit vectors and DECIMALS move a score
# Numbers in a matrix up to which a product takes one thread: its idle fellows would spin, and take the encoder's time.
# One thread needs 6 ms for 64 queries at this size, the bundled encoder 100 for them on two.
ONE_THREAD_SIZE = 2**22
BLOCK_ROWS = 512  # rows whose maximum is taken together; measured by `python -m benchmarks scoring`

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
class Want:
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

    def rank(self, embeddings: Any, wants: Sequence[Want], evidence: Sequence[Evidence] = ()) -> list[Ranked]:
        """Rank for each row of `embeddings`, float32 [B, D], unit length, with the evidence of each if there is any."""


def unit(embeddings: Floats) -> Floats:
    """Rows divided by their Euclidean length; a row of zeros stays so."""
    length: Floats = np.sqrt(np.einsum("bd,bd->b", embeddings, embeddings))[:, np.newaxis]
    result: Floats = embeddings / np.maximum(length, np.float32(1e-12))
    return result


class Floors:
    """The least score that each service needs to be shown, by surface: its threshold, or +inf where not shown."""

    def __init__(self, index: Index) -> None:
        self._by_surface: dict[str | None, Floats] = {None: index.thresholds}
        for surface, shown in index.surfaces.items():
            self._by_surface[surface] = np.where(shown, index.thresholds, np.float32(np.inf))

    def of(self, want: Want) -> Floats:
        """float32 [S]."""
        floor = self._by_surface[want.surface]
        return floor if want.min_score is None else np.maximum(floor, np.float32(want.min_score))


def select(rows: Ints, scores: Floats, query: Floats, index: Index, floor: Floats, top_k: int) -> Ranked:
    """The best services among candidate rows.

    Args:
        rows: [n], candidate rows of the matrix, ascending.
        scores: [n], their cosine with the query, as a float32 product gives it.
        query: [D].
        index: the generation.
        floor: [S], the least score for each service.
        top_k: at most so many.
    """
    near = scores >= floor[index.service_of_row[rows]] - 2 * ROUNDING
    rows, scores = rows[near], scores[near]
    if len(rows):
        near = scores >= _least(scores, index.service_of_row[rows], floor, top_k)
        rows = rows[near]
    services = index.service_of_row[rows].astype(np.int64)
    exact = index.matrix[rows].astype(np.float64) @ query.astype(np.float64)
    rounded = np.round(exact, DECIMALS).astype(np.float32)
    shown = rounded >= floor[services]
    rows, services, rounded = rows[shown], services[shown], rounded[shown]
    # Best first; among equals the smaller id, then the earlier phrase. A service's first row is then its best.
    order = np.lexsort((rows, index.ids_padded[services], -rounded))
    _, first = np.unique(services[order], return_index=True)
    best = order[np.sort(first)[:top_k]]
    return Ranked.by_meaning(services[best], rows[best], rounded[best])


def _least(scores: Floats, services: npt.NDArray[np.int32], floor: Floats, top_k: int) -> Floats:
    """[n], the float32 score that each row needs to be its service's best, and its service to be among the best."""
    firsts = np.flatnonzero(np.diff(services, prepend=-1))
    best = np.maximum.reduceat(scores, firsts)
    least = np.repeat(best, np.diff(firsts, append=len(scores)))
    sure = best[best >= floor[services[firsts]] + 2 * ROUNDING]
    if len(sure) >= top_k:
        least = np.maximum(least, np.partition(sure, len(sure) - top_k)[len(sure) - top_k])
    return least - np.float32(2 * ROUNDING)


def row_starts(index: Index) -> Ints:
    """[S + 1], where each service's rows begin, and where the last one's end."""
    return np.searchsorted(index.service_of_row, np.arange(len(index.thresholds) + 1))


def product_threads(index: Index) -> int:
    """How many threads the CPU's matrix product gets."""
    return 1 if index.matrix.size <= ONE_THREAD_SIZE else len(os.sched_getaffinity(0))


class CpuScorer:
    """Exact top-k with NumPy: one matrix product, then only the blocks of rows that can hold a hit."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._floors = Floors(index)
        self._no_floor = np.full(len(index.thresholds), -np.inf, dtype=np.float32)
        self._row_starts = row_starts(index)
        self._blocks = np.arange(0, max(len(index.matrix), 1), BLOCK_ROWS)
        self._buffer: Floats = np.empty((0, len(index.matrix)), dtype=np.float32)

    def rank(self, embeddings: Floats, wants: Sequence[Want], evidence: Sequence[Evidence] = ()) -> list[Ranked]:
        """Rank for each row of `embeddings`, float32 [B, D], unit length, with the evidence of each if there is any."""
        if not len(self._index.matrix):
            return [Ranked.nothing() for _ in wants]
        if len(self._buffer) < len(embeddings):  # kept between batches: fresh pages cost more than the top-k
            self._buffer = np.empty((len(embeddings), len(self._index.matrix)), dtype=np.float32)
        scores = np.matmul(embeddings, self._index.matrix.T, out=self._buffer[: len(embeddings)])
        maxima = np.maximum.reduceat(scores, self._blocks, axis=1)  # [B, blocks]
        said = evidence or [NONE] * len(wants)
        return [self._rank_one(*one) for one in zip(embeddings, scores, maxima, wants, said, strict=True)]

    def _rank_one(self, query: Floats, scores: Floats, maxima: Floats, want: Want, evidence: Evidence) -> Ranked:
        floor = self._floors.of(want)
        dense = self._by_meaning(query, scores, maxima, floor, want.top_k)
        if not len(evidence.rows):
            return dense
        services = services_of(evidence, self._index)[0]
        rows = rows_of(services, self._row_starts)
        spelled = select(rows, scores[rows], query, self._index, self._no_floor, len(services))
        return merge(dense, spelled, evidence, self._index, floor, want.top_k)

    def _by_meaning(self, query: Floats, scores: Floats, maxima: Floats, floor: Floats, top_k: int) -> Ranked:
        """Look into the blocks with the highest maxima, and into more of them until nothing outside can be a hit."""
        count = min(top_k, len(maxima))
        while True:
            # At least `count` rows reach this bound, so that no row below it can be among the best `count` of all.
            bound = np.partition(maxima, len(maxima) - count)[len(maxima) - count] - 4 * ROUNDING
            everything = count == len(maxima)
            blocks = np.flatnonzero(maxima >= bound)
            rows = (blocks[:, np.newaxis] * BLOCK_ROWS + np.arange(BLOCK_ROWS)).ravel()
            rows = rows[: np.searchsorted(rows, len(scores))]
            if not everything:
                rows = rows[scores[rows] >= bound]
            ranked = select(rows, scores[rows], query, self._index, floor, top_k)
            # Services share blocks, or do not reach their floors: then look further down.
            full = len(ranked.scores) == top_k and ranked.scores[-1] >= bound + 2 * ROUNDING
            if everything or full:
                return ranked
            count = min(4 * count, len(maxima))
