"""Exact ranking of services on the CPU, for a batch of query embeddings.

The dense similarity of a service is that of its best phrase: dense(q, s) = max over the phrases p of s of cos(q, p).
Rows that can be among the best are scored again in float64 and rounded to six decimals: a float32 product adds in
another order for another batch size, place or device, and equal phrases must tie, and a query score the same, whatever
the order. Ties go to the smaller id. Lexical matches are fused with it: see fusion.py.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import reduce
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from malgil_core.lexical.index import NO_MATCHES, LexicalMatches
from malgil_core.ranking import personal
from malgil_core.ranking.fusion import rows_of
from malgil_core.ranking.scoring import DeviceScorer
from malgil_core.ranking.topk import (
    ROUNDING,
    BatchHits,
    Pairs,
    candidates,
    nearest,
    select,
    unit,
)
from malgil_core.ranking.types import (
    NO_LAYERS,
    BatchThresholds,
    Floats,
    Index,
    Ints,
    Layers,
    QueryOptions,
    Ranked,
)

# Numbers in a matrix up to which a product takes one thread: idle threads would spin, and take the encoder's time. One
# thread needs 6 ms for 64 queries at this size, the bundled encoder 100 for them on two.
ONE_THREAD_SIZE = 2**22
BLOCK_ROWS = 512  # rows whose maximum is taken together; measured by `python -m benchmarks scoring`
PART_ROWS = 2**20  # candidate rows of queries that are ranked together: a bound on memory, some 100 bytes each


def product_threads(index: Index) -> int:
    """The number of threads for the CPU's matrix product."""
    return 1 if index.matrix.size <= ONE_THREAD_SIZE else len(os.sched_getaffinity(0))


class Rows(NamedTuple):
    """Queries with their cosines."""

    host: Floats  # their embeddings, [b, D]
    scores: Floats  # [b, blocks, BLOCK_ROWS], padded with -inf
    maxima: Floats  # [b, blocks], the highest score in each block

    @property
    def phrases(self) -> Floats:
        """The scores of each phrase, and the padding, [b, blocks · BLOCK_ROWS]."""
        return self.scores.reshape(len(self.scores), -1)


class CpuScorer(DeviceScorer[Rows]):
    """Exact top-k with NumPy: one matrix product, then only the blocks of rows that can hold a hit."""

    ROOM = 2 * ROUNDING

    def __init__(self, index: Index) -> None:
        super().__init__(index)
        self._largest = int(np.diff(self._row_starts).max(initial=0))  # rows of a service
        self._blocks = -(-len(index.matrix) // BLOCK_ROWS)
        self._product = self._empty(0)

    def join(self, embeddings: Sequence[Any]) -> Floats:
        """The embeddings [b, D] of several requests as one batch [B, D] of unit rows."""
        return unit(np.concatenate(embeddings))

    def rank(
        self,
        embeddings: Floats,
        options: Sequence[QueryOptions],
        matches: Sequence[LexicalMatches] = (),
        layers: Layers = NO_LAYERS,
    ) -> list[Ranked]:
        """Rank for each row of `embeddings`, float32 [B, D], unit length, with the lexical matches of each query."""
        if not len(self._index.matrix):
            return [Ranked.empty() for _ in options]
        layers = personal.counted(layers, matches)
        moved = personal.moved(embeddings, layers)
        product = self._products(np.concatenate([embeddings, moved]) if len(moved) else embeddings)
        matches = matches or [NO_MATCHES] * len(options)
        return self._rank(
            lambda part: self._rows(embeddings, product, part),
            lambda part: self._rows(moved, product[len(options) :], part),
            options,
            matches,
            layers,
        )

    def _products(self, embeddings: Floats) -> Floats:
        """The cosines of each row of `embeddings` with each phrase, padded to whole blocks with -inf."""
        if len(self._product) < len(embeddings):  # kept between batches: fresh pages cost more than the top-k
            self._product = self._empty(len(embeddings))
        product = self._product[: len(embeddings)]
        np.matmul(embeddings, self._index.matrix.T, out=product[:, : len(self._index.matrix)])
        return product

    def _empty(self, batch: int) -> Floats:
        """Room for the scores of a batch, each query's padded to whole blocks with -inf."""
        product = np.empty((batch, self._blocks * BLOCK_ROWS), dtype=np.float32)
        product[:, len(self._index.matrix) :] = -np.inf
        return product

    def _parts(self, options: Sequence[QueryOptions], matches: Sequence[LexicalMatches]) -> Iterator[slice]:
        """Parts of a batch with at most PART_ROWS candidate rows at first, or one query: they bound the memory."""
        start, rows = 0, 0
        for end, (query, found) in enumerate(zip(options, matches, strict=True)):
            more = min(query.top_k, self._blocks) * BLOCK_ROWS + len(found.rows) * self._largest
            if rows and rows + more > PART_ROWS:
                yield slice(start, end)
                start, rows = end, 0
            rows += more
        yield slice(start, len(options))

    def _rows(self, embeddings: Floats, product: Floats, part: slice | list[int]) -> Rows:
        """Some queries of a batch."""
        scores = product[part].reshape(-1, self._blocks, BLOCK_ROWS)
        return Rows(embeddings[part], scores, scores.max(axis=2))

    def _nearest(self, rows: Rows, queries: Ints, services: Ints) -> BatchHits:
        """Pairs of a query and a service, in this order, by the service's phrase of the highest cosine."""
        of_query, phrases = rows_of(queries, services, self._row_starts)
        return nearest(Pairs(of_query, phrases, rows.phrases[of_query, phrases]), rows.host, self._index)

    def _best(self, rows: Rows) -> Floats:
        best: Floats = np.maximum.reduceat(rows.phrases, self._row_starts[:-1], axis=1)
        return best

    def _near(self, rows: Rows, queries: Ints) -> tuple[Pairs, Pairs]:
        assert self._index.null
        services, _ = candidates(rows.scores, rows.maxima, queries, np.ones_like(queries), rows.maxima.max(axis=1))
        return services, _nearest_rows(rows.host, queries, self._index.null.matrix)

    def _dense(self, rows: Rows, thresholds: BatchThresholds, top_k: Ints) -> BatchHits:
        """Look into the blocks with the highest maxima, and into more of them until nothing outside can be a hit."""
        lowest = thresholds.lowest()
        queries, counts = np.arange(len(top_k)), np.minimum(top_k, self._blocks)
        found: list[BatchHits] = []
        while len(queries):
            fitting = max(int(np.searchsorted(np.cumsum(counts), PART_ROWS // BLOCK_ROWS, side="right")), 1)
            part, part_counts = queries[:fitting], counts[:fitting]
            pairs, bounds = candidates(rows.scores, rows.maxima, part, part_counts, lowest)
            hits = select(pairs, rows.host, self._index, thresholds, top_k)
            # Services share blocks, or do not reach their thresholds: then look further down.
            more = (part_counts < self._blocks) & (bounds > lowest[part] - np.float32(3 * ROUNDING))
            again = more & ~self._is_full(hits, part, bounds, top_k)
            found.append(hits.take(~np.isin(hits.queries, part[again])) if again.any() else hits)
            queries = np.concatenate([part[again], queries[fitting:]])
            counts = np.concatenate([np.minimum(4 * part_counts[again], self._blocks), counts[fitting:]])
        if len(found) == 1:
            return found[0]
        joined = reduce(BatchHits.join, found)
        return joined.take(np.argsort(joined.queries, kind="stable"))

    def _is_full(self, hits: BatchHits, queries: Ints, bounds: Floats, top_k: Ints) -> npt.NDArray[np.bool_]:
        """Whether each of these queries has all its hits, and no row below its bound could take a place among them."""
        ends = np.searchsorted(hits.queries, queries, side="right")
        sizes = ends - np.searchsorted(hits.queries, queries)
        is_full: npt.NDArray[np.bool_] = sizes == top_k[queries]
        is_full[is_full] = hits.scores[ends[is_full] - 1] >= bounds[is_full] + np.float32(2 * ROUNDING)
        return is_full


def _nearest_rows(embeddings: Floats, queries: Ints, matrix: Floats) -> Pairs:
    """The rows of a matrix that can be the nearest to some queries of a batch."""
    scores = embeddings[queries] @ matrix.T
    place, rows = np.nonzero(scores >= scores.max(axis=1, keepdims=True) - np.float32(2 * ROUNDING))
    return Pairs(queries[place], rows, scores[place, rows])
