"""Pruned top-k: the best services among candidate rows of the matrix, most of which are never looked at closely."""

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


def row_starts(index: Index) -> Ints:
    """[S + 1]: where each service's rows begin, and where the last one's end."""
    return np.searchsorted(index.service_of_row, np.arange(len(index.thresholds) + 1))


def candidates(scores: Floats, maxima: Floats, block_rows: int, count: int) -> tuple[Ints, float]:
    """Rows that can be among the best `count`, ascending, and the score that they reach.

    At least `count` blocks, so at least `count` rows, reach the count-th highest maximum: no row below it is among the
    best `count`. Here six rows in blocks of two; the second block is skipped as a whole:

    >>> scores = np.array([0.1, 0.9, 0.3, 0.2, 0.8, 0.7], np.float32)
    >>> maxima = np.array([0.9, 0.3, 0.8], np.float32)
    >>> rows, bound = candidates(scores, maxima, block_rows=2, count=2)
    >>> rows.tolist(), round(bound, 2)
    ([1, 4], 0.8)

    Args:
        scores: [P].
        maxima: [blocks], the highest score in each block of rows.
        block_rows: rows in a block.
        count: 1 to the number of blocks; for that many there is no bound, and every row is a candidate.
    """
    if count == len(maxima):
        return np.arange(len(scores)), -np.inf
    bound = float(np.partition(maxima, len(maxima) - count)[len(maxima) - count]) - 4 * ROUNDING
    blocks = np.flatnonzero(maxima >= bound)
    rows = (blocks[:, np.newaxis] * block_rows + np.arange(block_rows)).ravel()
    rows = rows[: np.searchsorted(rows, len(scores))]
    return rows[scores[rows] >= bound], bound


def select(rows: Ints, scores: Floats, query: Floats, index: Index, thresholds: Floats, top_k: int) -> Ranked:
    """The best services among candidate rows, by their exact cosines.

    Args:
        rows: [n], candidate rows of the matrix, ascending.
        scores: [n], their cosine with the query, as a float32 product gives it.
        query: [D].
        index: the generation.
        thresholds: [S], the lowest score with which each service is shown.
        top_k: hits at most.
    """
    near = scores >= thresholds[index.service_of_row[rows]] - 2 * ROUNDING
    rows, scores = rows[near], scores[near]
    if len(rows):
        rows = rows[scores >= _bounds(scores, index.service_of_row[rows], thresholds, top_k)]
    services = index.service_of_row[rows].astype(np.int64)
    exact = index.matrix[rows].astype(np.float64) @ query.astype(np.float64)
    rounded = np.round(exact, DECIMALS).astype(np.float32)
    shown = rounded >= thresholds[services]
    rows, services, rounded = rows[shown], services[shown], rounded[shown]
    # Best first; among equals the smaller id, then the earlier phrase. A service's first row is then its best.
    order = np.lexsort((rows, index.ids_padded[services], -rounded))
    _, first = np.unique(services[order], return_index=True)
    best = order[np.sort(first)[:top_k]]
    return Ranked.from_dense(services[best], rows[best], rounded[best])


def _bounds(scores: Floats, services: npt.NDArray[np.int32], thresholds: Floats, top_k: int) -> Floats:
    """[n]: the float32 score with which each row can be its service's best, and its service among the best `top_k`."""
    firsts = np.flatnonzero(np.diff(services, prepend=-1))
    best = np.maximum.reduceat(scores, firsts)
    bounds = np.repeat(best, np.diff(firsts, append=len(scores)))
    certain = best[best >= thresholds[services[firsts]] + 2 * ROUNDING]
    if len(certain) >= top_k:
        bounds = np.maximum(bounds, np.partition(certain, len(certain) - top_k)[len(certain) - top_k])
    return bounds - np.float32(2 * ROUNDING)
