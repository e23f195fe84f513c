"""Fusion of dense and lexical similarity into one score.

    score(q, s) = 1 - (1 - dense(q, s)) · (1 - lexical(q, s))

dense is the cosine of the service's nearest phrase, lexical the score of its best lexical match, 0 to 1: it closes that
share of the gap between the cosine and 1, the cosine of a query with itself. Without a match the score is the cosine,
so that thresholds keep their meaning; it rises with both parts and never leaves their range. A linear mix (Karpukhin et
al. 2020) has no such bound: BM25 grows with the length of the query, and one weight cannot suit "ㅅ" and a sentence.
"""

from __future__ import annotations

import numpy as np

from malgil_core.lexical.index import LexicalMatches
from malgil_core.ranking.types import DECIMALS, Floats, Index, Ints, Ranked

SHOWN_FROM = 0.5  # lexical score from which a hit shows the phrase that matched, not the one of the highest cosine


def fused(dense: Floats, lexical: Floats) -> Floats:
    """The fused score, rounded.

    A name typed halfway passes a phrase that is nearer in meaning:

    >>> dense = np.array([0.9, 0.8, 0.8], np.float32)
    >>> lexical = np.array([0.0, 0.75, 1.0], np.float32)
    >>> print(fused(dense, lexical))
    [0.9  0.95 1.  ]
    """
    score = 1 - (1 - dense.astype(np.float64)) * (1 - lexical.astype(np.float64))
    rounded: Floats = np.round(score, DECIMALS).astype(np.float32)
    return rounded


def matched_services(matches: LexicalMatches, index: Index) -> tuple[Ints, Ints, Floats]:
    """The services with a lexical match, ascending; for each its best match, and the score of that."""
    services = index.service_of_row[matches.rows].astype(np.int64)
    order = np.lexsort((matches.rows, -matches.scores, services))
    first = order[np.flatnonzero(np.diff(services[order], prepend=-1))]
    return services[first], matches.rows[first], matches.scores[first].astype(np.float32)


def rows_of(services: Ints, starts: Ints) -> Ints:
    """All rows of these services, ascending; `starts` [S + 1] from `row_starts`."""
    sizes = starts[services + 1] - starts[services]
    offsets = np.cumsum(sizes) - sizes
    rows: Ints = np.arange(sizes.sum(), dtype=np.int64) + np.repeat(starts[services] - offsets, sizes)
    return rows


def merge(
    dense: Ranked, matched: Ranked, matches: LexicalMatches, index: Index, thresholds: Floats, top_k: int
) -> Ranked:
    """The best services by the fused score.

    Args:
        dense: the best by cosine alone: a service without a lexical match is among the best only if it is among these.
        matched: each service with a lexical match, by its phrase of the highest cosine.
        matches: of the query.
        index: the generation.
        thresholds: [S], the lowest score with which each service is shown.
        top_k: hits at most.
    """
    services, rows, lexical = matched_services(matches, index)
    matched = matched.take(np.argsort(matched.services))
    shown = np.where(lexical >= SHOWN_FROM, rows, matched.rows)
    unmatched = dense.take(np.flatnonzero(~np.isin(dense.services, services)))
    scores = np.concatenate([unmatched.scores, fused(matched.dense, lexical)])
    both = Ranked(
        np.concatenate([unmatched.services, services]),
        np.concatenate([unmatched.rows, shown]),
        scores,
        np.concatenate([unmatched.dense, matched.dense]),
        np.concatenate([unmatched.lexical, lexical]),
    )
    above = np.flatnonzero(scores >= thresholds[both.services])
    best = np.lexsort((index.ids_padded[both.services[above]], -scores[above]))[:top_k]
    return both.take(above[best])
