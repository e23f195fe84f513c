"""Scope: whether a query asks for something that the app does.

A null phrase says what the app does not do, and scores as a service does, but by its cosine alone: a lexical match with
it says little, since most of its words are words of services too, and would take time (with lexical matches, as many
queries are refused, and more of those that should not be). A query is out of scope, and its answer empty, if the best
null phrase scores higher than the best service by more than a margin, or if the best service scores under a floor.

The best service is that of the whole catalog, whatever the surface, thresholds and min_score of the request: what is
decided is whether the app does what was asked, and that is the same wherever it is asked.

A query that begins a phrase of a service or one of its words, as keystrokes or initials, is not compared: half-typed
words are not what an encoder was trained on, and lie near each other. Nor is one that holds most initials of a phrase,
unless it is a null phrase itself ("ㅁㄴㅇㄹ").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from malgil_core.lexical.index import BEGINS, INITIALS, LexicalMatches
from malgil_core.ranking.topk import BatchHits, Pairs, exact_cosines, first_maxima
from malgil_core.ranking.types import Floats, Index, Ints, NullMatch, QueryOptions, Ranked

NO_HITS = Ranked.empty()
THE_SAME = 0.9999  # cosine from which a query is the null phrase itself


def is_out_of_scope(best: Floats, null: Floats, margin: float, floor: float = float("-inf")) -> npt.NDArray[np.bool_]:
    """Whether a query asks for something that the app does not do, for each pair of scores.

    >>> is_out_of_scope(np.array([0.90, 0.90, 0.84]), np.array([0.91, 0.93, 0.80]), margin=0.02, floor=0.85).tolist()
    [False, True, True]

    Args:
        best: [B], scores of the best service.
        null: [B], scores of the best null phrase.
        margin: by which a null phrase may be the better one.
        floor: the lowest score of a service that answers.
    """
    best64 = best.astype(np.float64)
    refused: npt.NDArray[np.bool_] = (null.astype(np.float64) - best64 > margin) | (best64 < floor)
    return refused


def completion(matches: LexicalMatches) -> int:
    """BEGINS, INITIALS or 0: the most that a query has begun of a service's phrase."""
    return int(matches.completions.max(initial=0))


@dataclass(frozen=True)
class Near:
    """Rows of services and of null phrases that can be the nearest, for the queries of a batch that are compared.

    Attributes:
        queries: [q], ascending.
        by_initials: bool [q], whether the query holds most initials of a service's phrase.
        services: rows of any service, at least one for each query.
        nulls: rows of null phrases, at least one for each query.
    """

    queries: Ints
    by_initials: npt.NDArray[np.bool_]
    services: Pairs
    nulls: Pairs


def compared(options: Sequence[QueryOptions], matches: Sequence[LexicalMatches]) -> tuple[Ints, npt.NDArray[np.bool_]]:
    """The queries of a batch that are compared with null phrases, and whether each holds most initials of a phrase."""
    pairs = zip(options, matches, strict=True)
    begun = np.array([completion(found) if query.null else BEGINS for query, found in pairs])
    queries: Ints = (begun < BEGINS).nonzero()[0]
    return queries, begun[queries] == INITIALS


def refuse(
    ranked: Sequence[Ranked],
    near: Near,
    matched: BatchHits | None,
    embeddings: Floats,
    index: Index,
) -> list[Ranked]:
    """The answers of a batch, empty where the query is out of scope.

    Args:
        ranked: the hits of each query.
        near: what is nearest to those that are compared with null phrases.
        matched: the services with a lexical match, by their fused scores, whatever the options of the query.
        embeddings: [B, D].
        index: the generation; it has null phrases.
    """
    assert index.null
    best = np.full(len(ranked), -1, dtype=np.float32)
    best[near.queries] = _highest(near.services, embeddings, index.matrix)[1]
    if matched is not None:
        np.maximum.at(best, matched.queries, matched.scores)
    best = best[near.queries]
    rows, scores = _highest(near.nulls, embeddings, index.null.matrix)
    by_null = is_out_of_scope(best, scores, index.null.margin)
    refused = is_out_of_scope(best, scores, index.null.margin, index.null.floor)
    refused &= ~near.by_initials | (by_null & (scores >= THE_SAME))
    refused_by = np.where(refused, np.where(by_null, "null", "floor"), "")
    answers = list(ranked)
    found = zip(near.queries.tolist(), rows.tolist(), scores.tolist(), refused_by.tolist(), best.tolist(), strict=True)
    for query, row, score, by, best_score in found:
        answer = NO_HITS if by else answers[query]
        answers[query] = answer.with_null(NullMatch(row, score, by, best_score))
    return answers


def _highest(pairs: Pairs, embeddings: Floats, matrix: Floats) -> tuple[Ints, Floats]:
    """For each query that has pairs, the row of the highest exact cosine, the earliest among equals, and its cosine."""
    exact = exact_cosines(pairs, embeddings, matrix)
    places = first_maxima(exact, pairs.queries)
    return pairs.rows[places], exact[places]
