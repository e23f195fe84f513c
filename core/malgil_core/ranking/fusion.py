"""Fusion of dense and lexical similarity into one score.

    score(q, s) = 1 - (1 - dense(q, s)) · (1 - lexical(q, s))

dense is the cosine of the service's nearest phrase, lexical the score of its best lexical match, 0 to 1: it closes that
share of the gap between the cosine and 1, the cosine of a query with itself. Without a match the score is the cosine,
so that thresholds keep their meaning; it rises with both parts and never leaves their range. A linear mix (Karpukhin et
al. 2020) has no such bound: BM25 grows with the length of the query, and one weight cannot suit "ㅅ" and a sentence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from malgil_core.lexical.index import LexicalMatches
from malgil_core.lexical.numbers import ranges
from malgil_core.ranking.topk import BatchHits, best_first, first_maxima
from malgil_core.ranking.types import DECIMALS, BatchThresholds, Floats, Index, Ints

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
    rounded: Floats = score.round(DECIMALS).astype(np.float32)
    return rounded


@dataclass(frozen=True)
class ServiceMatches:
    """The best lexical match of each service that has one, ordered by query, then service."""

    queries: Ints  # [m]
    services: Ints  # [m]
    rows: Ints  # [m]: the phrase that matched
    scores: Floats  # [m], 0 to 1

    @classmethod
    def of(cls, matches: Sequence[LexicalMatches], index: Index) -> ServiceMatches:
        """The matches of each query of a batch, by service."""
        queries = np.arange(len(matches)).repeat([len(found.rows) for found in matches])
        rows = np.concatenate([found.rows for found in matches])
        scores = np.concatenate([found.scores for found in matches])
        services = index.service_of_row[rows].astype(np.int64)
        best = first_maxima(scores, queries * len(index.thresholds) + services)
        return cls(queries[best], services[best], rows[best], scores[best].astype(np.float32))


def rows_of(queries: Ints, services: Ints, starts: Ints) -> tuple[Ints, Ints]:
    """All rows of some services, each with its query; `starts` [S + 1] from `row_starts`."""
    begins = starts[services]
    sizes = starts[services + 1] - begins
    return queries.repeat(sizes), ranges(begins, sizes)


def with_lexical(matched: BatchHits, matches: ServiceMatches) -> BatchHits:
    """Services with a lexical match, by the fused score.

    Args:
        matched: each of them by its phrase of the highest cosine, in the order of `matches`.
        matches: of a batch.
    """
    rows = np.where(matches.scores >= SHOWN_FROM, matches.rows, matched.rows)
    scores = fused(matched.dense, matches.scores)
    return BatchHits(matches.queries, matches.services, rows, scores, matched.dense, matches.scores)


def merge(
    dense: BatchHits,
    matched: BatchHits,
    matches: ServiceMatches,
    index: Index,
    thresholds: BatchThresholds,
    top_k: Ints,
) -> BatchHits:
    """The best services of each query by the fused score.

    Args:
        dense: the best by cosine alone: a service without a lexical match is among the best only if it is among these.
        matched: each service with a lexical match, of `with_lexical`.
        matches: of the batch.
        index: the generation.
        thresholds: the lowest score with which each service is shown to each query.
        top_k: [B], hits at most.
    """
    unmatched = ~_is_matched(dense, matches, len(index.thresholds))
    hits = dense.take(unmatched).join(matched)
    return best_first(hits, hits.scores >= thresholds.of(hits.queries, hits.services), index, top_k)


def _is_matched(hits: BatchHits, matches: ServiceMatches, services: int) -> npt.NDArray[np.bool_]:
    """Whether the service of each hit has a lexical match with its query."""
    keys = matches.queries * services + matches.services  # ascending
    sought = hits.queries * services + hits.services
    is_matched: npt.NDArray[np.bool_] = keys[np.minimum(keys.searchsorted(sought), len(keys) - 1)] == sought
    return is_matched
