"""Meaning and letters in one score. Pure: no Triton here.

    score(q, s) = 1 - (1 - dense(q, s)) · (1 - lexical(q, s))

dense is the cosine of the service's nearest phrase, lexical the evidence of the letters from 0 to 1 (lexical.py): they
close a share of the gap between the cosine and 1, where the query is the phrase. Without them the score is the cosine,
so that thresholds keep their meaning; it rises with both parts and never leaves their range. A linear mix (Karpukhin et
al. 2020) has no such bound: BM25 grows with the length of the query, and one weight cannot suit "ㅅ" and a sentence.
"""

from __future__ import annotations

import numpy as np

from malgil_core.lexical.index import LexicalMatches
from malgil_core.ranking.types import DECIMALS, Floats, Index, Ints, Ranked

SPELLED = 0.5  # evidence from which a hit shows the phrase with those letters, instead of the nearest in meaning


def fused(dense: Floats, lexical: Floats) -> Floats:
    """The one score, rounded."""
    score = 1 - (1 - dense.astype(np.float64)) * (1 - lexical.astype(np.float64))
    rounded: Floats = np.round(score, DECIMALS).astype(np.float32)
    return rounded


def services_of(evidence: LexicalMatches, index: Index) -> tuple[Ints, Ints, Floats]:
    """Services that the letters speak for, ascending; for each its phrase with most evidence, and how much that is."""
    services = index.service_of_row[evidence.rows].astype(np.int64)
    order = np.lexsort((evidence.rows, -evidence.scores, services))
    first = order[np.flatnonzero(np.diff(services[order], prepend=-1))]
    return services[first], evidence.rows[first], evidence.scores[first].astype(np.float32)


def rows_of(services: Ints, starts: Ints) -> Ints:
    """All rows of these services, ascending; `starts` [S + 1] says where each service's rows begin."""
    sizes = starts[services + 1] - starts[services]
    offsets = np.cumsum(sizes) - sizes
    rows: Ints = np.arange(sizes.sum(), dtype=np.int64) + np.repeat(starts[services] - offsets, sizes)
    return rows


def merge(dense: Ranked, spelled: Ranked, evidence: LexicalMatches, index: Index, floor: Floats, top_k: int) -> Ranked:
    """The best services by both parts.

    Args:
        dense: the best by meaning alone. A service without evidence is among the best only if it is among these.
        spelled: each service with evidence, by its phrase nearest in meaning.
        evidence: of the letters.
        index: the generation.
        floor: [S], the least score for each service.
        top_k: at most so many.
    """
    services, rows, lexical = services_of(evidence, index)
    spelled = spelled.at(np.argsort(spelled.services))
    shown = np.where(lexical >= SPELLED, rows, spelled.rows)
    alone = dense.at(np.flatnonzero(~np.isin(dense.services, services)))
    scores = np.concatenate([alone.scores, fused(spelled.dense, lexical)])
    both = type(dense)(
        np.concatenate([alone.services, services]),
        np.concatenate([alone.rows, shown]),
        scores,
        np.concatenate([alone.dense, spelled.dense]),
        np.concatenate([alone.lexical, lexical]),
    )
    enough = np.flatnonzero(scores >= floor[both.services])
    best = np.lexsort((index.ids_padded[both.services[enough]], -scores[enough]))[:top_k]
    return both.at(enough[best])
