"""Fuzzy match: texts that are few slips of the fingers away from a query, by OSA distance (Damerau 1964)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from rapidfuzz import process
from rapidfuzz.distance import OSA

from malgil_core.lexical.numbers import Doubles


def fuzzy_scores(query: str, texts: Sequence[str], threshold: float, prefix_weight: float) -> Doubles:
    """`all_fuzzy_scores` for one query.

    더치패이 is one key of eight from 더치페이: similarity 7/8, which is 0.82 of the way from the threshold to 1. It is
    as near to the beginning of 더치페이 내역, but those are only 8 of 13 keys:

    >>> fuzzy_scores("ejclvodl", ["ejclvpdl", "ejclvpdlsodur"], threshold=0.3, prefix_weight=0.75).round(3).tolist()
    [0.821, 0.742]
    """
    return all_fuzzy_scores([query], [texts], threshold, prefix_weight)


def all_fuzzy_scores(
    queries: Sequence[str], texts: Sequence[Sequence[str]], threshold: float, prefix_weight: float
) -> Doubles:
    """The similarity of each query of a batch with its texts, or with the beginnings of them if that is higher.

    Args:
        queries: the keys of each.
        texts: of each query, the keys of phrases.
        threshold: the similarity that counts as 0.
        prefix_weight: of a similarity with the beginning of a text; it rises to 1 with the share of the text typed.

    Returns:
        From 0 to 1, for all texts of the first query, then those of the second, and so on.
    """
    sizes = [len(part) for part in texts]
    lengths = np.fromiter((len(text) for part in texts for text in part), np.float64, count=sum(sizes))
    typed = np.array([len(query) for query in queries], np.float64).repeat(sizes)
    # One call of rapidfuzz for both: it costs more to call than to compare.
    both = [[*part, *(text[: len(query)] for text in part)] for query, part in zip(queries, texts, strict=True)]
    found = [
        process.cdist([query], part, scorer=OSA.normalized_similarity).reshape(2, -1)
        for query, part in zip(queries, both, strict=True)
        if part
    ]
    similarity = np.concatenate(found, axis=1).astype(np.float64) if found else np.empty((2, 0))
    whole, beginning = np.maximum(similarity - threshold, 0) / (1 - threshold)
    share = np.minimum(typed / np.maximum(lengths, 1), 1.0)
    scores: Doubles = np.maximum(whole, beginning * (prefix_weight + (1 - prefix_weight) * share))
    return scores
