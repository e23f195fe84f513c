"""Exact ranking of services on the CPU, for a batch of query embeddings.

The dense similarity of a service is that of its best phrase: dense(q, s) = max over the phrases p of s of cos(q, p).
Rows that can be among the best are scored again in float64 and rounded to six decimals: a float32 product adds in
another order for another batch size, place or device, and equal phrases must tie, and a query score the same, whatever
the order. Ties go to the smaller id. Lexical matches are fused with it: see fusion.py.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from malgil_core.lexical.index import NO_MATCHES, LexicalMatches
from malgil_core.ranking.fusion import matched_services, merge, rows_of
from malgil_core.ranking.topk import ROUNDING, candidates, row_starts, select, unit
from malgil_core.ranking.types import Floats, Index, QueryOptions, Ranked, ScoreThresholds

# Numbers in a matrix up to which a product takes one thread: idle threads would spin, and take the encoder's time. One
# thread needs 6 ms for 64 queries at this size, the bundled encoder 100 for them on two.
ONE_THREAD_SIZE = 2**22
BLOCK_ROWS = 512  # rows whose maximum is taken together; measured by `python -m benchmarks scoring`


def product_threads(index: Index) -> int:
    """The number of threads for the CPU's matrix product."""
    return 1 if index.matrix.size <= ONE_THREAD_SIZE else len(os.sched_getaffinity(0))


class CpuScorer:
    """Exact top-k with NumPy: one matrix product, then only the blocks of rows that can hold a hit."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._thresholds = ScoreThresholds(index)
        self._no_thresholds = np.full(len(index.thresholds), -np.inf, dtype=np.float32)
        self._row_starts = row_starts(index)
        self._block_starts = np.arange(0, max(len(index.matrix), 1), BLOCK_ROWS)
        self._product: Floats = np.empty((0, len(index.matrix)), dtype=np.float32)

    def join(self, embeddings: Sequence[Any]) -> Floats:
        """The embeddings [b, D] of several requests as one batch [B, D] of unit rows."""
        return unit(np.concatenate(embeddings))

    def rank(
        self, embeddings: Floats, options: Sequence[QueryOptions], matches: Sequence[LexicalMatches] = ()
    ) -> list[Ranked]:
        """Rank for each row of `embeddings`, float32 [B, D], unit length, with the lexical matches of each query."""
        if not len(self._index.matrix):
            return [Ranked.empty() for _ in options]
        if len(self._product) < len(embeddings):  # kept between batches: fresh pages cost more than the top-k
            self._product = np.empty((len(embeddings), len(self._index.matrix)), dtype=np.float32)
        scores = np.matmul(embeddings, self._index.matrix.T, out=self._product[: len(embeddings)])
        maxima = np.maximum.reduceat(scores, self._block_starts, axis=1)  # [B, blocks]
        matches = matches or [NO_MATCHES] * len(options)
        return [self._rank_one(*query) for query in zip(embeddings, scores, maxima, options, matches, strict=True)]

    def _rank_one(
        self, query: Floats, scores: Floats, maxima: Floats, options: QueryOptions, matches: LexicalMatches
    ) -> Ranked:
        thresholds = self._thresholds.of(options)
        dense = self._rank_dense(query, scores, maxima, thresholds, options.top_k)
        if not len(matches.rows):
            return dense
        services = matched_services(matches, self._index)[0]
        rows = rows_of(services, self._row_starts)
        matched = select(rows, scores[rows], query, self._index, self._no_thresholds, len(services))
        return merge(dense, matched, matches, self._index, thresholds, options.top_k)

    def _rank_dense(self, query: Floats, scores: Floats, maxima: Floats, thresholds: Floats, top_k: int) -> Ranked:
        """Look into the blocks with the highest maxima, and into more of them until nothing outside can be a hit."""
        count = min(top_k, len(maxima))
        while True:
            rows, bound = candidates(scores, maxima, BLOCK_ROWS, count)
            ranked = select(rows, scores[rows], query, self._index, thresholds, top_k)
            # Services share blocks, or do not reach their thresholds: then look further down.
            full = len(ranked.scores) == top_k and ranked.scores[-1] >= bound + 2 * ROUNDING
            if full or count == len(maxima):
                return ranked
            count = min(4 * count, len(maxima))
