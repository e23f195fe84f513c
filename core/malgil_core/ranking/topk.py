"""The best services among candidate rows of the matrix, and helpers for it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from malgil_core.ranking.types import DECIMALS, Floats, Index, Ints, Ranked

ROUNDING = 1e-5  # more than a float32 product of unit vectors and DECIMALS move a score


def unit(embeddings: Floats) -> Floats:
    """Rows divided by their Euclidean length; a row of zeros stays so."""
    length: Floats = np.sqrt(np.einsum("bd,bd->b", embeddings, embeddings))[:, np.newaxis]
    result: Floats = embeddings / np.maximum(length, np.float32(1e-12))
    return result


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
