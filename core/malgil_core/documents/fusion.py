"""Fusion of dense similarity and BM25 into the score of a passage or phrase, and of these into that of a document.

    score = cosine + WEIGHT · max(lexical - CHANCE, 0),    lexical = BM25 of the passage / BM25 of the query with itself

Chosen on KorQuAD's 964 passages and on the sample's help articles: rank fusion (RRF) and linear mixes lose to dense
similarity alone where a question shares no word with its article, since the best BM25 score of such a question is by
chance; below CHANCE it counts for nothing.

PHRASE_CHANCE and the mean of two in `collapsed` were chosen on half of the questions about help articles with phrases.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from malgil_core.documents.bm25 import K1, Weights

WEIGHT = 0.5
CHANCE = 0.25  # three of four questions that share no content word with any article score less, the rest barely more
PHRASE_CHANCE = 0.15  # of a phrase, which is short and shares fewer units by chance


def full_score(query: Weights) -> float:
    """The most that a passage can score by BM25 for a query; at least a little, so that it can be divided by."""
    return max((K1 + 1) * sum(query.values()), 1e-9)


def fused(dense: Mapping[str, float], lexical: Mapping[str, float], phrases: Collection[str] = ()) -> dict[str, float]:
    """The score of each candidate, by its key.

    The third is found by its words alone: it counts as similar as the least similar that was looked at.

    >>> fused({"a": 0.8, "b": 0.7}, {"a": 0.2, "c": 0.75})
    {'a': 0.8, 'b': 0.7, 'c': 0.95}

    Args:
        dense: cosines of the most similar passages.
        lexical: BM25 scores of the best, each divided by `full_score`.
        phrases: those of them that are phrases, for which PHRASE_CHANCE stands in for CHANCE.
    """
    lowest = min(dense.values(), default=0.0)
    return {
        one: dense.get(one, lowest)
        + WEIGHT * max(lexical.get(one, 0.0) - (PHRASE_CHANCE if one in phrases else CHANCE), 0.0)
        for one in {**dense, **lexical}
    }


def collapsed(
    scores: Mapping[str, float], documents: Mapping[str, str], phrases: Collection[str]
) -> dict[str, tuple[float, str]]:
    """The score and the best passage or phrase of each document, best first.

    A passage's score counts as it is. A phrase's is averaged with that of the document's next best, since one phrase of
    many is often near by chance: here "p" comes from the best phrase, and yet after "q", of which two are near.

    >>> documents = {"p.1": "p", "p.2": "p", "q.1": "q", "q.2": "q", "r.1": "r"}
    >>> scores = {"p.1": 1.0, "p.2": 0.5, "q.1": 0.9, "q.2": 0.8, "r.1": 0.6}
    >>> {one: (round(score, 2), best) for one, (score, best) in collapsed(scores, documents, {"p.1", "q.1"}).items()}
    {'q': (0.85, 'q.1'), 'p': (0.75, 'p.1'), 'r': (0.6, 'r.1')}

    Args:
        scores: of each candidate.
        documents: the document of each candidate.
        phrases: those of them that are phrases.
    """
    lowest = min(scores.values(), default=0.0)
    best: dict[str, str] = {}
    found: dict[str, float] = {}
    following: dict[str, float] = {}
    for one in sorted(scores, key=lambda one: (-scores[one], one)):
        document = documents[one]
        if document not in best:
            best[document], found[document] = one, scores[one]
        else:
            following.setdefault(document, scores[one])
    for document, one in best.items():
        if one in phrases:
            found[document] = (found[document] + following.get(document, lowest)) / 2
    return {one: (found[one], best[one]) for one in sorted(found, key=lambda one: (-found[one], best[one]))}
