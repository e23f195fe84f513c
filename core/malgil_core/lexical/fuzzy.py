"""Fuzzy match: texts that are few slips of the fingers away from a query, by OSA distance (Damerau 1964)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from rapidfuzz import process
from rapidfuzz.distance import OSA

from malgil_core.lexical.numbers import Doubles


def fuzzy_scores(query: str, texts: Sequence[str], threshold: float, prefix_weight: float) -> Doubles:
    """The similarity of a query with each text or with the beginning of it, whichever is higher, from 0 to 1.

    더치패이 is one key of eight from 더치페이: similarity 7/8, which is 0.82 of the way from the threshold to 1. It is
    as near to the beginning of 더치페이 내역, but those are only 8 of 13 keys:

    >>> fuzzy_scores("ejclvodl", ["ejclvpdl", "ejclvpdlsodur"], threshold=0.3, prefix_weight=0.75).round(3).tolist()
    [0.821, 0.742]

    Args:
        query: the keys of a query.
        texts: the keys of phrases.
        threshold: the similarity that counts as 0.
        prefix_weight: of a similarity with the beginning of a text; it rises to 1 with the share of the text typed.
    """
    if not texts:
        return np.empty(0)
    whole = _similarity(query, texts, threshold)
    beginning = _similarity(query, [text[: len(query)] for text in texts], threshold)
    lengths = np.fromiter(map(len, texts), np.float64, count=len(texts))
    typed = np.minimum(len(query) / np.maximum(lengths, 1), 1.0)
    return np.maximum(whole, beginning * (prefix_weight + (1 - prefix_weight) * typed))


def _similarity(query: str, texts: Sequence[str], threshold: float) -> Doubles:
    found: Doubles = process.cdist([query], texts, scorer=OSA.normalized_similarity)[0].astype(np.float64)
    return np.maximum(found - threshold, 0) / (1 - threshold)
