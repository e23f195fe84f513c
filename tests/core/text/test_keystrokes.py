import unicodedata
from typing import Literal

import pytest
from malgil_core.text.keystrokes import initials, keys, only_consonants, words


def typed(text: str) -> str:
    return "".join(map(keys, words(text)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [("송금", "thdrma"), ("송ㄱ", "thdr"), ("속", "thr"), ("소개", "throo"[:4]), ("값이", "rkqtdl"), ("ㄳ", "rt")],
)
def test_half_typed_syllables_begin_what_they_become(text: str, expected: str) -> None:
    assert typed(text).startswith(expected)


def test_the_wrong_layout_costs_nothing_in_either_direction() -> None:
    assert typed("송금") == typed("thdrma") == typed("THDRMA")
    assert typed("PLCC") == typed("ㅔㅣㅊㅊ")


def test_a_missed_shift_costs_nothing() -> None:
    assert typed("까치") == typed("가치")


@pytest.mark.parametrize("form", ["NFC", "NFD", "NFKC", "NFKD"])
def test_every_form_of_unicode_is_the_same_text(form: Literal["NFC", "NFD", "NFKC", "NFKD"]) -> None:
    assert words(unicodedata.normalize(form, "내 카드ＡＢＣ １２")) == ["내", "카드abc", "12"]


def test_jamo_typed_alone_stay_apart() -> None:
    assert words("ㅅㄱ") == ["ㅅㄱ"]
    assert words("송금ㅎ") == ["송금ㅎ"]


def test_initials_are_the_first_consonants_and_other_letters() -> None:
    assert [initials(word) for word in words("계좌 이체")] == ["rw", "dc"]
    assert initials("abc카드") == "abcze"


@pytest.mark.parametrize(
    ("word", "expected"), [("ㅅㄱ", True), ("ㄳ", True), ("tr", True), ("소ㄱ", False), ("to", False)]
)
def test_only_consonants_are_taken_for_initials(word: str, expected: bool) -> None:
    assert only_consonants(word) is expected


def test_punctuation_and_symbols_are_no_letters() -> None:
    assert words("송금! (이체)…🙂") == ["송금", "이체"]
    assert words("?!") == []
