"""Snippets: the sentence that answers, with the query's words marked where they stand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from malgil_core.documents import bm25
from malgil_core.documents.bm25 import Statistics
from malgil_core.documents.snippets import LENGTH, snippet

BODY = "앱을 엽니다. 이체 한도는 설정에서 바꿉니다. 카드는 상관없어요."
ENDS = [7, 25, len(BODY)]


def weights(passage: str, query: str) -> bm25.Weights:
    statistics = Statistics()
    statistics.add(bm25.units(passage))
    return statistics.query_weights(query)


def test_the_sentence_with_the_words_is_shown_and_they_are_marked() -> None:
    found = snippet(BODY, ENDS, "이체한도 이체 설정", weights(BODY, "이체 한도 설정"))
    assert found.text.startswith("이체 한도는")
    assert [found.text[start:end] for start, end in found.highlights] == ["이체", "설정"]
    assert BODY[found.start : found.start + len(found.text)] == found.text


def test_without_a_shared_word_it_begins_at_the_beginning() -> None:
    found = snippet(BODY, ENDS, "zzz", weights(BODY, "zzz"))
    assert (found.start, found.highlights) == (0, [])


def test_a_sentence_that_is_too_long_is_cut_around_the_words() -> None:
    body = "가나다 " * 200 + "수수료 " + "라마바 " * 200
    found = snippet(body, [len(body)], "수수료", weights(body, "수수료"))
    assert len(found.text) <= LENGTH
    assert [found.text[start:end] for start, end in found.highlights] == ["수수료"]


@pytest.mark.parametrize("ends", [[], [0], [3, 3, 9], [10**6]])
def test_sentence_ends_that_do_not_fit_do_no_harm(ends: list[int]) -> None:
    assert len(snippet(BODY, ends, "이체", weights(BODY, "이체")).text) <= LENGTH


@given(st.text(min_size=1, max_size=400), st.text(max_size=40))
def test_offsets_always_point_into_the_passage(passage: str, query: str) -> None:
    found = snippet(passage, [len(passage)], query, weights(passage, query))
    assert passage[found.start : found.start + len(found.text)] == found.text
    assert all(0 <= start < end <= len(found.text) for start, end in found.highlights)
