"""Fusion of dense similarity and BM25 into the score of a passage.

    score = cosine + WEIGHT · max(lexical - CHANCE, 0),    lexical = BM25 of the passage / BM25 of the query with itself

Chosen on KorQuAD's 964 passages and on the sample's help articles: rank fusion (RRF) and linear mixes lose to dense
similarity alone where a question shares no word with its article, since the best BM25 score of such a question is by
chance; below CHANCE it counts for nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

from malgil_core.documents.bm25 import K1, Weights

WEIGHT = 0.5
CHANCE = 0.25  # three of four questions that share no content word with any article score less, the rest barely more


def full_score(query: Weights) -> float:
    """The most that a passage can score by BM25 for a query; at least a little, so that it can be divided by."""
    return max((K1 + 1) * sum(query.values()), 1e-9)


def fused(dense: Mapping[str, float], lexical: Mapping[str, float]) -> dict[str, float]:
    """The score of each candidate, by its key.

    The third is found by its words alone: it counts as similar as the least similar that was looked at.

    >>> fused({"a": 0.8, "b": 0.7}, {"a": 0.2, "c": 0.75})
    {'a': 0.8, 'b': 0.7, 'c': 0.95}

    Args:
        dense: cosines of the most similar passages.
        lexical: BM25 scores of the best, each divided by `full_score`.
    """
    lowest = min(dense.values(), default=0.0)
    return {
        one: dense.get(one, lowest) + WEIGHT * max(lexical.get(one, 0.0) - CHANCE, 0.0) for one in {**dense, **lexical}
    }
