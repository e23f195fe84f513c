"""Lexical matches, on the names of a few services: what is half typed or mistyped still finds them."""

from __future__ import annotations

import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from malgil_core.lexical import postings
from malgil_core.lexical.index import LONGEST_QUERY, LexicalIndex

NAMES = ("송금", "송금 내역", "계좌이체", "소개", "더치페이", "MY 자산", "PLCC 카드", "카드값 확인", "카드 분실 신고")
PHRASE = "친구에게 송금"  # of the last service, not a name
INDEX = LexicalIndex.of([*NAMES, PHRASE], np.array([True] * len(NAMES) + [False]))


QUERIES = st.text(max_size=30) | st.text(alphabet="ㄱㅅㅏ송금계좌 thdrma카드", max_size=12)


def best(query: str, count: int = 1) -> list[str]:
    """The phrases that match best."""
    found = INDEX.matches(query)
    order = np.argsort(-found.scores, kind="stable")[:count]
    return [[*NAMES, PHRASE][row] for row in found.rows[order]]


def score(query: str, phrase: str) -> float:
    """The lexical score of a phrase, 0 if it does not match."""
    found = INDEX.matches(query)
    return float(found.scores[found.rows == [*NAMES, PHRASE].index(phrase)].sum())


@pytest.mark.parametrize("query", ["ㅅ", "소", "송", "송ㄱ", "송그"])
def test_a_name_is_found_at_every_key_of_typing_it(query: str) -> None:
    assert "송금" in best(query, 3)


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("송금ㄴ", "송금 내역"),
        ("속", "소개"),  # the consonant belongs to the next syllable
        ("ㅅㄱ", "송금"),
        ("ㄱㅈㅇㅊ", "계좌이체"),
        ("ㄳ", "계좌이체"),
        ("thdrma", "송금"),
        ("THDRMA", "송금"),
        ("ㅔㅣㅊㅊ", "PLCC 카드"),
        ("plcc", "PLCC 카드"),
        ("ＰＬＣＣ", "PLCC 카드"),
        ("my자산", "MY 자산"),
        ("계좌 이체", "계좌이체"),
        ("카드값확인", "카드값 확인"),
        ("더치패이", "더치페이"),
        ("더칯페이", "더치페이"),
        ("더ㅓ치페이", "더치페이"),
        ("카드 뷴실싱고", "카드 분실 신고"),
        ("분실신고", "카드 분실 신고"),
    ],
)
def test_slips_of_the_fingers_find_what_was_meant(query: str, name: str) -> None:
    if query == "ㄳ":  # typed as ㄱ and ㅅ
        assert INDEX.matches("ㄳ").scores.tolist() == INDEX.matches("ㄱㅅ").scores.tolist()
    else:
        assert best(query) == [name]


def test_the_whole_name_scores_1_and_half_of_it_less() -> None:
    assert score("송금", "송금") == 1
    assert 0 < score("송", "송금") < score("송금", "송금")
    assert score("송금", "송금 내역") < 1


def test_a_name_counts_more_than_a_phrase_that_holds_it() -> None:
    assert score("송금", "송금 내역") > score("송금", PHRASE) > 0


def test_a_query_of_other_words_matches_no_phrase() -> None:
    assert len(INDEX.matches("날씨").rows) == 0 or INDEX.matches("날씨").scores.max() < 0.3


@pytest.mark.parametrize("query", ["", "  ", "?!…", "🙂", "가" * LONGEST_QUERY, "中文"])
def test_a_query_without_letters_or_of_a_whole_page_has_no_lexical_matches(query: str) -> None:
    found = INDEX.matches(query)
    assert len(found.rows) == len(found.scores) == 0


@settings(max_examples=300, deadline=None)
@given(QUERIES)
def test_each_phrase_matches_once_with_a_score_from_0_to_1_whatever_is_typed(query: str) -> None:
    found = INDEX.matches(query)
    assert len(set(found.rows.tolist())) == len(found.rows)
    assert ((found.scores >= 0) & (found.scores <= 1)).all()
    assert found.rows.tolist() == sorted(found.rows.tolist())


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.sampled_from([*NAMES, "ㅅㄱ", "ㄱㅈㅇㅊ", "", "?", "가" * LONGEST_QUERY]) | QUERIES, max_size=12),
    st.sampled_from([1, 25, 2**20]),
)
def test_a_query_matches_the_same_phrases_whatever_shares_its_batch(queries: list[str], scores_at_once: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(postings, "MAX_SCORES", scores_at_once)
        together = INDEX.all_matches(queries)
    assert len(together) == len(queries)
    for query, found in zip(queries, together, strict=True):
        alone = INDEX.matches(query)
        assert (found.rows.tolist(), found.scores.tolist()) == (alone.rows.tolist(), alone.scores.tolist())


@given(st.sampled_from(NAMES), st.sampled_from(["NFC", "NFD", "NFKC", "NFKD"]))
def test_the_form_of_unicode_makes_no_difference(name: str, form: str) -> None:
    other = INDEX.matches(unicodedata.normalize(form, name))  # type: ignore[arg-type]
    assert other.scores.tolist() == INDEX.matches(name).scores.tolist()


def test_an_empty_catalog_and_phrases_without_letters_can_be_searched() -> None:
    assert len(LexicalIndex.of([], np.empty(0, bool)).matches("송금").rows) == 0
    found = LexicalIndex.of(["?!", "송금"], np.array([True, True])).matches("송금")
    assert found.rows.tolist() == [1]


def test_many_phrases_that_begin_alike_leave_the_short_names_in_sight() -> None:
    phrases = [f"송금 방법 {i}" for i in range(500)] + ["송금"]
    index = LexicalIndex.of(phrases, np.array([False] * 500 + [True]))
    found = index.matches("ㅅ")
    assert found.rows[np.argmax(found.scores)] == 500
