"""Postings: phrases that share words with a query are found, the rarer the words the better."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from malgil_core.lexical.postings import K1, LOWEST, B, PostingArrays, Postings


def postings(grams: Sequence[Sequence[str]]) -> Postings:
    """Phrases with these n-grams."""
    return Postings(PostingArrays.of(grams), len(grams))


def test_a_phrase_of_the_same_words_has_the_full_score() -> None:
    rows, scores = postings([["a", "b"], ["a", "c"], ["d", "e"]]).find(["a", "b"], 10)
    assert rows.tolist() == [0, 1]
    assert scores[0] == pytest.approx(1)
    assert scores[1] < 0.5


def test_words_that_no_phrase_contains_lower_the_score() -> None:
    index = postings([["a", "b"], ["c"]])
    alone, more = (index.find(grams, 10)[1][0] for grams in (["a", "b"], ["a", "b", "x", "y"]))
    assert more < 0.7 * alone


def test_rare_words_count_more_than_common_ones() -> None:
    index = postings([["common", "rare"], *[["common", f"w{i}"] for i in range(20)]])
    rows, scores = index.find(["common", "rare"], 30)
    assert rows[np.argmax(scores)] == 0
    common = index.find(["common", "other"], 30)[1]
    assert common.max() < scores.max() / 2


def test_a_query_costs_no_more_than_the_limit_and_unknown_words_find_nothing() -> None:
    index = postings([["a"]] * 50)
    assert len(index.find(["a"], 7)[0]) == 7
    assert len(index.find(["x"], 7)[0]) == 0
    assert len(postings([]).find(["x"], 7)[0]) == 0


def plain_scores(phrases: Sequence[Sequence[str]], query: Sequence[str]) -> dict[int, float]:
    """BM25 as Robertson et al. write it, over the score of a phrase made of the query's n-grams alone."""
    mean = max(sum(map(len, phrases)) / len(phrases), 1.0)

    def score(phrase: Sequence[str]) -> float:
        total = 0.0
        for gram in set(query):
            doc_freq = sum(gram in other for other in phrases)
            freq, norm = phrase.count(gram), K1 * (1 - B + B * len(phrase) / mean)
            total += math.log1p((len(phrases) - doc_freq + 0.5) / (doc_freq + 0.5)) * freq * (K1 + 1) / (freq + norm)
        return total

    scores = {row: score(phrase) / score(query) for row, phrase in enumerate(phrases)}
    return {row: min(value, 1.0) for row, value in scores.items() if value and value >= LOWEST * max(scores.values())}


GRAMS = st.lists(st.sampled_from("abcdefg"), min_size=1, max_size=6)


@given(st.lists(GRAMS, min_size=1, max_size=20), st.lists(GRAMS, max_size=6))
def test_every_query_of_a_batch_gets_the_scores_of_bm25(phrases: list[list[str]], queries: list[list[str]]) -> None:
    found = postings(phrases).find_all(queries, 100)
    for query, grams in enumerate(queries):
        own = found.queries == query
        scores = dict(zip(found.rows[own].tolist(), found.scores[own].tolist(), strict=True))
        expected = plain_scores(phrases, grams)
        near = {row for row, value in expected.items() if value > 1.001 * LOWEST * max(expected.values())}
        assert near <= scores.keys() <= expected.keys() or scores.keys() == expected.keys()
        assert all(scores[row] == pytest.approx(expected[row]) for row in near)


@pytest.mark.parametrize(
    ("field", "change", "complaint"),
    [
        ("grams", lambda a: a[:-2], "grams and doc_freq are not of one length, or a gram is there twice"),
        ("grams", lambda a: np.append(a[:2], a[:-2]), "grams and doc_freq are not of one length, or a gram"),
        ("grams", lambda a: a + 128, "grams is not ASCII"),
        ("doc_freq", lambda a: a * 4, "doc_freq is not from 1 to the number of phrases"),
        ("doc_freq", lambda a: a - 1, "doc_freq is not from 1 to the number of phrases"),
        ("posting_rows", lambda a: a[:-1], "posting_rows or term_freq is not of doc_freq's sum"),
        ("term_freq", lambda a: a[:-1], "posting_rows or term_freq is not of doc_freq's sum"),
        ("posting_rows", lambda a: a - 1, "posting_rows names a phrase that is not there"),
        ("posting_rows", lambda a: a + 1, "posting_rows names a phrase that is not there"),
        ("posting_rows", lambda a: a * 0, "posting_rows is not ascending within an n-gram"),
        ("term_freq", lambda a: a - 1, "term_freq is not positive"),
    ],
)
def test_arrays_that_do_not_fit_are_refused_before_a_query_meets_them(field: str, change: Any, complaint: str) -> None:
    arrays = PostingArrays.of([["a", "b"], ["b", "a"], ["c"]])
    changed = arrays._replace(**{field: change(getattr(arrays, field))})
    with pytest.raises(ValueError, match=complaint):
        Postings(changed, 3)
