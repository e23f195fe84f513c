"""Exact ranking of services for a batch of query embeddings. Pure: no Triton here.

By meaning a service scores as its best phrase: dense(q, s) = max over the phrases p of s of cos(q, p). What may be
among the best is scored again in float64 and rounded to six decimals: a float32 product adds in another order for
another batch size, place or device, and equal phrases must tie, and a query score the same, whatever the order. Ties go
to the smaller id. What the letters of a query say comes on top: see fusion.py.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from malgil_core.lexical.index import NO_MATCHES, LexicalMatches
from malgil_core.ranking.fusion import merge, rows_of, services_of
from malgil_core.ranking.topk import ROUNDING, row_starts, select
from malgil_core.ranking.types import Floats, Index, QueryOptions, Ranked, ScoreThresholds

# Numbers in a matrix up to which a product takes one thread: its idle fellows would spin, and take the encoder's time.
# One thread needs 6 ms for 64 queries at this size, the bundled encoder 100 for them on two.
ONE_THREAD_SIZE = 2**22
BLOCK_ROWS = 512  # rows whose maximum is taken together; measured by `python -m benchmarks scoring`


def product_threads(index: Index) -> int:
    """How many threads the CPU's matrix product gets."""
    return 1 if index.matrix.size <= ONE_THREAD_SIZE else len(os.sched_getaffinity(0))


class CpuScorer:
    """Exact top-k with NumPy: one matrix product, then only the blocks of rows that can hold a hit."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._floors = ScoreThresholds(index)
        self._no_floor = np.full(len(index.thresholds), -np.inf, dtype=np.float32)
        self._row_starts = row_starts(index)
        self._blocks = np.arange(0, max(len(index.matrix), 1), BLOCK_ROWS)
        self._buffer: Floats = np.empty((0, len(index.matrix)), dtype=np.float32)

    def rank(
        self, embeddings: Floats, options: Sequence[QueryOptions], evidence: Sequence[LexicalMatches] = ()
    ) -> list[Ranked]:
        """Rank for each row of `embeddings`, float32 [B, D], unit length, with the evidence of each if there is any."""
        if not len(self._index.matrix):
            return [Ranked.nothing() for _ in options]
        if len(self._buffer) < len(embeddings):  # kept between batches: fresh pages cost more than the top-k
            self._buffer = np.empty((len(embeddings), len(self._index.matrix)), dtype=np.float32)
        scores = np.matmul(embeddings, self._index.matrix.T, out=self._buffer[: len(embeddings)])
        maxima = np.maximum.reduceat(scores, self._blocks, axis=1)  # [B, blocks]
        said = evidence or [NO_MATCHES] * len(options)
        return [self._rank_one(*one) for one in zip(embeddings, scores, maxima, options, said, strict=True)]

    def _rank_one(
        self, query: Floats, scores: Floats, maxima: Floats, wanted: QueryOptions, evidence: LexicalMatches
    ) -> Ranked:
        floor = self._floors.of(wanted)
        dense = self._by_meaning(query, scores, maxima, floor, wanted.top_k)
        if not len(evidence.rows):
            return dense
        services = services_of(evidence, self._index)[0]
        rows = rows_of(services, self._row_starts)
        spelled = select(rows, scores[rows], query, self._index, self._no_floor, len(services))
        return merge(dense, spelled, evidence, self._index, floor, wanted.top_k)

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
