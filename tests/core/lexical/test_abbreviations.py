"""Abbreviated queries: initial consonants beside syllables and Latin letters, over the names of the sample catalog."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from typing import Literal

import numpy as np
import pytest
from malgil_core.catalog import reading
from malgil_core.lexical.index import LexicalIndex
from malgil_core.text.keyboard import FIRST_SYLLABLE, LAST_SYLLABLE

from export import ROOT

INITIALS = "ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ"
SERVICES = [service for service in reading.read(ROOT / "catalogs/finance.jsonl") if service.open]
TEXTS = [(text, service.id, text == service.name) for service in SERVICES for text in service.texts]
INDEX = LexicalIndex.of([text for text, _, _ in TEXTS], np.array([is_name for *_, is_name in TEXTS]))


def is_syllable(letter: str) -> bool:
    return FIRST_SYLLABLE <= letter <= LAST_SYLLABLE


def initials(text: str) -> str:
    return "".join(INITIALS[(ord(c) - ord(FIRST_SYLLABLE)) // 588] if is_syllable(c) else c for c in text)


def middle(name: str) -> int:
    return name.index(" ") if " " in name else (len(name) + 1) // 2


def ending_in_initials(name: str) -> str:
    """카드 분실 신고: 카드 ㅂㅅ ㅅㄱ."""
    return name[: middle(name)] + initials(name[middle(name) :])


def beginning_with_initials(name: str) -> str:
    """자동 이체: ㅈㄷ이체."""
    return (initials(name[: middle(name)]) + name[middle(name) :]).replace(" ", "")


def every_other_syllable(name: str) -> str:
    """계좌이체: ㄱ좌ㅇ체."""
    return "".join(initials(letter) if at % 2 == 0 else letter for at, letter in enumerate(name))


def first(query: str) -> int | None:
    """The id of the service that matches best; the smaller of equal ones."""
    found = INDEX.matches(query)
    scores = [(-round(score, 6), TEXTS[row][1]) for row, score in zip(found.rows, found.scores, strict=True)]
    return min(scores)[1] if scores else None


@pytest.mark.parametrize("abbreviated", [ending_in_initials, beginning_with_initials, every_other_syllable])
def test_a_name_is_found_by_syllables_and_initials_mixed(abbreviated: Callable[[str], str]) -> None:
    named = [service for service in SERVICES if sum(map(is_syllable, service.name)) > 1]
    assert len(named) >= 110
    missed = [service.name for service in named if first(abbreviated(service.name)) != service.id]
    assert len(missed) <= 0.03 * len(named), missed


@pytest.mark.parametrize("form", ["NFD", "NFKC", "NFKD"])
def test_initials_find_a_name_in_whatever_form_a_phone_sends_them(form: Literal["NFD", "NFKC", "NFKD"]) -> None:
    for service in SERVICES:
        typed = "".join(letter for letter in initials(service.name) if letter != " ")
        sent = unicodedata.normalize(form, typed)
        assert first(sent) == first(typed)


@pytest.mark.parametrize("query", ["IRP ㄱㅈ", "irpㄱㅈ", "IRP ㄱ좌"])
def test_latin_letters_beside_initials_stand_for_themselves(query: str) -> None:
    (pension,) = (service for service in SERVICES if "IRP 계좌" in service.phrases)
    assert first(query) == pension.id


def test_other_letters_than_the_phrase_has_do_not_match() -> None:
    index = LexicalIndex.of(["카드 분실", "자동이체"], np.array([True, True]))
    assert index.matches("카드 ㅂㅅ").scores.tolist()[0] > 0.9
    assert index.matches("ㅈㄷ이체").scores.max() > 0.9
    for query in ("캬드 ㅂㅅ", "ㅈㄷ이채", "ㅈㄱ이체", "ㅋㄷ이체"):
        assert not (index.matches(query).scores > 0.9).any()


def test_a_word_inside_a_phrase_can_be_abbreviated_and_half_typed() -> None:
    index = LexicalIndex.of(["내 카드 분실 신고하기"], np.array([True]))
    for query in ("ㅋ드 ㅂㅅ", "ㅋ드분", "ㅋ드 부", "카ㄷ 분ㅅ ㅅ"):
        assert index.matches(query).scores.max() > 0.4
