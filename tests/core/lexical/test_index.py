"""What the letters of a query speak for, on the names of a few services."""

from __future__ import annotations

import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from malgil_core.lexical.index import LONGEST_QUERY, LexicalIndex

NAMES = ("송금", "송금 내역", "계좌이체", "소개", "더치페이", "MY 자산", "PLCC 카드", "카드값 확인", "카드 분실 신고")
PHRASE = "친구에게 송금"  # of the last service, not a name
INDEX = LexicalIndex.of([*NAMES, PHRASE], np.array([True] * len(NAMES) + [False]))


def best(query: str, count: int = 1) -> list[str]:
    """The phrases that the letters speak for most."""
    found = INDEX.matches(query)
    order = np.argsort(-found.scores, kind="stable")[:count]
    return [[*NAMES, PHRASE][row] for row in found.rows[order]]


def share(query: str, phrase: str) -> float:
    """How much the letters of a query speak for a phrase."""
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


def test_the_whole_name_is_certain_and_half_of_it_less_so() -> None:
    assert share("송금", "송금") == 1
    assert 0 < share("송", "송금") < share("송금", "송금")
    assert share("송금", "송금 내역") < 1


def test_a_name_counts_more_than_a_phrase_that_holds_it() -> None:
    assert share("송금", "송금 내역") > share("송금", PHRASE) > 0


def test_what_shares_no_letters_says_nothing() -> None:
    assert len(INDEX.matches("날씨").rows) == 0 or INDEX.matches("날씨").scores.max() < 0.3


@pytest.mark.parametrize("query", ["", "  ", "?!…", "🙂", "가" * LONGEST_QUERY, "中文"])
def test_a_query_without_letters_or_of_a_whole_page_is_left_to_its_meaning(query: str) -> None:
    found = INDEX.matches(query)
    assert len(found.rows) == len(found.scores) == 0


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=30) | st.text(alphabet="ㄱㅅㅏ송금계좌 thdrma카드", max_size=12))
def test_evidence_is_a_share_for_each_phrase_once_whatever_is_typed(query: str) -> None:
    found = INDEX.matches(query)
    assert len(set(found.rows.tolist())) == len(found.rows)
    assert ((found.scores >= 0) & (found.scores <= 1)).all()
    assert found.rows.tolist() == sorted(found.rows.tolist())


@given(st.sampled_from(NAMES), st.sampled_from(["NFC", "NFD", "NFKC", "NFKD"]))
def test_the_form_of_unicode_makes_no_difference(name: str, form: str) -> None:
    other = INDEX.matches(unicodedata.normalize(form, name))  # type: ignore[arg-type]
    assert other.scores.tolist() == INDEX.matches(name).scores.tolist()


def test_an_empty_catalogue_and_phrases_without_letters_can_be_searched() -> None:
    assert len(LexicalIndex.of([], np.empty(0, bool)).matches("송금").rows) == 0
    found = LexicalIndex.of(["?!", "송금"], np.array([True, True])).matches("송금")
    assert found.rows.tolist() == [1]


def test_many_phrases_that_begin_alike_leave_the_short_names_in_sight() -> None:
    phrases = [f"송금 방법 {i}" for i in range(500)] + ["송금"]
    index = LexicalIndex.of(phrases, np.array([False] * 500 + [True]))
    found = index.matches("ㅅ")
    assert found.rows[np.argmax(found.scores)] == 500
