"""Pruned top-k for a batch: the best services of each query, most rows of the matrix never looked at closely."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from malgil_core.ranking.types import DECIMALS, BatchThresholds, Floats, Index, Ints, QueryOptions, Ranked

FEW_PAIRS = 2  # for each query: so few are multiplied faster at once than query by query
ROUNDING = 1e-5  # more than a float32 product of unit vectors and DECIMALS move a score


@dataclass(frozen=True)
class Pairs:
    """Pairs of a query of the batch and a row of the matrix, ordered by query, then row."""

    queries: Ints  # [n]
    rows: Ints  # [n]
    scores: Floats  # [n]: cosine, as a float32 product gives it

    def take(self, places: npt.NDArray[np.bool_]) -> Pairs:
        """The pairs at these places."""
        return Pairs(self.queries[places], self.rows[places], self.scores[places])


@dataclass(frozen=True)
class BatchHits:
    """Hits of all queries of a batch, ordered by query."""

    queries: Ints  # [n]
    services: Ints  # [n]
    rows: Ints  # [n]: the phrase that matched
    scores: Floats  # [n]
    dense: Floats  # [n]: cosine of the service's nearest phrase
    lexical: Floats  # [n]

    def take(self, places: Ints | npt.NDArray[np.bool_]) -> BatchHits:
        """The hits at these places, in their order."""
        return BatchHits(*(part[places] for part in self._parts))

    def join(self, other: BatchHits) -> BatchHits:
        """The hits of both, in no order."""
        return BatchHits(*(np.concatenate(parts) for parts in zip(self._parts, other._parts, strict=True)))

    def split(self, batch: int) -> list[Ranked]:
        """The hits of each of the `batch` queries."""
        ends = self.queries.searchsorted(np.arange(batch + 1)).tolist()
        return [Ranked(*(part[start:end] for part in self._parts[1:])) for start, end in pairwise(ends)]

    @property
    def _parts(self) -> tuple[Any, ...]:
        return (self.queries, self.services, self.rows, self.scores, self.dense, self.lexical)


def unit(embeddings: Floats) -> Floats:
    """Rows divided by their Euclidean length; rows of zeros stay zero."""
    length: Floats = np.sqrt(np.einsum("bd,bd->b", embeddings, embeddings))[:, np.newaxis]
    result: Floats = embeddings / np.maximum(length, np.float32(1e-12))
    return result


def top_ks(options: Sequence[QueryOptions]) -> Ints:
    """The number of hits that each query wants at most, [B]."""
    return np.array([query.top_k for query in options], dtype=np.int64)


def row_starts(index: Index) -> Ints:
    """The first row of each service, and the number of rows at the end, [S + 1]."""
    return np.searchsorted(index.service_of_row, np.arange(len(index.thresholds) + 1))


def candidates(scores: Floats, maxima: Floats, queries: Ints, counts: Ints, lowest: Floats) -> tuple[Pairs, Floats]:
    """Rows that can be among the best `count` of a query, and the bound that they exceed.

    At least `count` blocks, so at least `count` rows, reach the count-th highest maximum: no row below it is among the
    best `count`. Here one query and six rows in blocks of two; the second block is skipped as a whole:

    >>> scores = np.array([[[0.1, 0.9], [0.3, 0.2], [0.8, 0.7]]], np.float32)
    >>> maxima, none = scores.max(axis=2), np.array([-np.inf], np.float32)
    >>> pairs, bounds = candidates(scores, maxima, queries=np.array([0]), counts=np.array([2]), lowest=none)
    >>> print(pairs.rows, bounds.round(2))
    [1 4] [0.8]

    Args:
        scores: [B, blocks, rows in a block], padded with -inf.
        maxima: [B, blocks], the highest score in each block.
        queries: [q], those to look at, ascending.
        counts: [q], 1 to the number of blocks; for that many there is no such bound.
        lowest: [B], the lowest score that any service is shown with: a bound in any case.

    Returns:
        The pairs, and for each of `queries` the bound: the higher of `lowest` and the count-th highest maximum, less a
        margin for rounding.
    """
    kth, maxima = maxima.shape[1] - counts, maxima[queries]
    ordered = np.partition(maxima, sorted(set(kth.tolist())), axis=1)
    bounds = ordered[np.arange(len(queries)), kth] - np.float32(4 * ROUNDING)
    bounds[kth == 0] = -np.inf
    bounds = np.maximum(bounds, lowest[queries] - np.float32(4 * ROUNDING))
    place, block = (maxima >= bounds[:, np.newaxis]).nonzero()
    picked = scores[queries[place], block]  # [picked blocks, rows in a block]
    which, offset = (picked > bounds[place, np.newaxis]).nonzero()
    rows = block[which] * scores.shape[2] + offset
    return Pairs(queries[place[which]], rows, picked[which, offset]), bounds


def select(pairs: Pairs, embeddings: Floats, index: Index, thresholds: BatchThresholds, top_k: Ints) -> BatchHits:
    """The best services of each query among candidate rows, best first, by their exact cosines.

    Args:
        pairs: candidate rows.
        embeddings: [B, D].
        index: the generation.
        thresholds: the lowest score with which each service is shown to each query.
        top_k: [B], hits at most.
    """
    lowest = thresholds.of(pairs.queries, index.service_of_row[pairs.rows])
    near = pairs.scores >= lowest - np.float32(2 * ROUNDING)
    if not near.all():
        pairs, lowest = pairs.take(near), lowest[near]
    firsts, run = runs(_keys(pairs, index))
    best = np.maximum.reduceat(pairs.scores, firsts) if len(firsts) else pairs.scores
    queries = pairs.queries[firsts]
    certain = best >= lowest[firsts] + np.float32(2 * ROUNDING)
    kth = _kth_best(queries[certain], best[certain], top_k)
    bounds = np.maximum(best, kth[queries]) - np.float32(2 * ROUNDING)
    hits = _exactly_nearest(pairs.take(pairs.scores >= bounds[run]), embeddings, index)
    return best_first(hits, hits.dense >= thresholds.of(hits.queries, hits.services), index, top_k)


def nearest(pairs: Pairs, embeddings: Floats, index: Index) -> BatchHits:
    """For each query and service that has pairs, the phrase of the highest exact cosine, the earliest among equals."""
    firsts, run = runs(_keys(pairs, index))
    best = np.maximum.reduceat(pairs.scores, firsts) if len(firsts) else pairs.scores
    return _exactly_nearest(pairs.take(pairs.scores >= (best - np.float32(2 * ROUNDING))[run]), embeddings, index)


def best_first(hits: BatchHits, shown: npt.NDArray[np.bool_], index: Index, top_k: Ints) -> BatchHits:
    """The best `top_k` [B] of each query's hits that are `shown` [n], best first; ties go to the smaller id."""
    places = shown.nonzero()[0]
    queries = hits.queries[places]
    order = np.lexsort((index.ids_padded[hits.services[places]], -hits.scores[places], queries))
    queries = queries[order]
    rank = np.arange(len(order)) - queries.searchsorted(np.arange(len(top_k)))[queries]
    return hits.take(places[order[rank < top_k[queries]]])


def runs(keys: Ints) -> tuple[Ints, Ints]:
    """Runs of equal keys: the place where each begins, and for each place [n] the number of its run."""
    begins = np.empty(len(keys), dtype=bool)
    begins[:1] = True
    np.not_equal(keys[1:], keys[:-1], out=begins[1:])
    return begins.nonzero()[0], begins.cumsum() - 1


def first_maxima(values: npt.NDArray[np.floating[Any]], keys: Ints) -> Ints:
    """For each run of equal keys, the place of its highest value, the first among equals."""
    firsts, run = runs(keys)
    if not len(firsts):
        return firsts
    highest = (values == np.maximum.reduceat(values, firsts)[run]).nonzero()[0]
    places: Ints = highest[highest.searchsorted(firsts)]
    return places


def _keys(pairs: Pairs, index: Index) -> Ints:
    """A number for each pair's query and service, [n], ascending."""
    keys: Ints = pairs.queries * len(index.thresholds) + index.service_of_row[pairs.rows]
    return keys


def _exactly_nearest(pairs: Pairs, embeddings: Floats, index: Index) -> BatchHits:
    exact = exact_cosines(pairs, embeddings, index.matrix)
    places = first_maxima(exact, _keys(pairs, index))
    queries, rows, dense = pairs.queries[places], pairs.rows[places], exact[places]
    services = index.service_of_row[rows].astype(np.int64)
    return BatchHits(queries, services, rows, dense, dense, np.zeros_like(dense))


def exact_cosines(pairs: Pairs, embeddings: Floats, matrix: Floats) -> Floats:
    """The cosines of pairs of a query and a row of the matrix as float64 products, rounded, [n]."""
    if len(pairs.rows) <= FEW_PAIRS * len(embeddings):
        vectors = matrix.take(pairs.rows, axis=0).astype(np.float64)
        exact = np.einsum("nd,nd->n", vectors, embeddings[pairs.queries].astype(np.float64))
        return _rounded(exact)
    exact = np.empty(len(pairs.rows))
    ends = pairs.queries.searchsorted(np.arange(len(embeddings) + 1)).tolist()
    # Query by query: the vectors of a batch would fill fresh pages, which cost more than the products.
    for query, (start, end) in zip(embeddings.astype(np.float64), pairwise(ends), strict=True):
        vectors = matrix.take(pairs.rows[start:end], axis=0).astype(np.float64)
        np.matmul(vectors, query, out=exact[start:end])
    return _rounded(exact)


def _rounded(exact: npt.NDArray[np.float64]) -> Floats:
    rounded: Floats = exact.round(DECIMALS).astype(np.float32)
    return rounded


def _kth_best(queries: Ints, scores: Floats, top_k: Ints) -> Floats:
    """The top_k-th highest score of each query, [B], -inf where it has fewer; `queries` is ascending."""
    ordered = 4.0 * queries - scores
    ordered.sort()  # by query, then from the highest: cosines are within -1 and 1
    batch = np.arange(len(top_k))
    place = queries.searchsorted(batch) + top_k - 1
    enough = place < queries.searchsorted(batch, side="right")
    kth = np.full(len(top_k), -np.inf, dtype=np.float32)
    kth[enough] = 4.0 * batch[enough] - ordered[place[enough]]
    return kth
