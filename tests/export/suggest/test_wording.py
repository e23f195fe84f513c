"""What a proposed phrase's characters tell: each phrase that could not be used says why."""

from __future__ import annotations

import pytest
from malgil_core.catalog.reading import Catalog, NullTopic

from export.suggest.wording import Wording, fold
from tests.index import service

TRANSFER = service(1, "송금", "이체", "돈 보내기", "ATM에서 돈 찾기", "어디서 송금해?")
CATALOG = Catalog(
    [TRANSFER, service(2, "환전", "달러 사기", "AUD 환율")], [NullTopic("날씨", ("오늘 날씨", "내일 비 와?"))]
)


@pytest.mark.parametrize(
    "phrase",
    ["돈 부치기", "계좌로 송금하려면?", "ATM 송금", "atm으로 보내기", "aud 송금", "5만원 보내기",
     "송금 (수수료 없이)", "이체ㅋㅋ", "50% 할인 이체", "돈-보내는 곳", "'급하게' 이체", "가나"],
)  # fmt: skip
def test_a_phrase_as_people_type_it_is_not_spoken_against(phrase: str) -> None:
    assert Wording.of(CATALOG, TRANSFER).finding(phrase) is None


@pytest.mark.parametrize(
    ("phrase", "verdict", "detail"),
    [
        ("transfer", "not_korean", "no Hangul syllable"),
        ("ㅅㄱ", "not_korean", "no Hangul syllable"),
        ("12345", "not_korean", "no Hangul syllable"),
        ("送金 하기", "not_korean", "送金"),
        ("송금をする", "not_korean", "をする"),
        ("деньги 보내기", "not_korean", "деньги"),
        ("돈 보내기 💸", "unprintable", "money with wings"),
        ("돈\u200b 부치기", "unprintable", "zero width space"),
        ("돈\x1b[31m 부치기", "unprintable", "U+001B"),
        ("\ufffd 부치기", "unprintable", "replacement character"),
        ("돈", "short", "1 character"),
        ("돈을 " * 14, "long", "42 characters"),
        ("Venmo로 송금", "latin", "venmo"),
        ("이체", "duplicate", "이체 (송금)"),
        ("송금", "duplicate", "송금 (송금)"),
        ("돈보내기!", "duplicate", "돈 보내기 (송금)"),
        ("어디서 송금해", "duplicate", "어디서 송금해? (송금)"),
        ("달러사기", "duplicate", "달러 사기 (환전)"),
        ("ａｕｄ 환율", "duplicate", "AUD 환율 (환전)"),
        ("오늘날씨", "null_duplicate", "오늘 날씨 (날씨)"),
    ],
)
def test_a_phrase_that_could_not_be_used_says_why(phrase: str, verdict: str, detail: str) -> None:
    found = Wording.of(CATALOG, TRANSFER).finding(phrase)
    assert found is not None
    assert found[0] == verdict
    assert detail.casefold() in found[1].casefold()


def test_the_service_as_it_is_edited_counts_instead_of_the_one_in_the_catalog() -> None:
    edited = service(1, "송금", "새로 쓴 문구")
    wording = Wording.of(CATALOG, edited)
    assert wording.finding("새로쓴 문구") == ("duplicate", "새로 쓴 문구 (송금)")
    assert wording.finding("돈 보내기") is None
    assert wording.finding("ATM 이체") == ("latin", "atm")


@pytest.mark.parametrize("text", ["?!", " ", "…"])
def test_a_text_of_punctuation_alone_stays_what_it_is(text: str) -> None:
    assert fold(text)
