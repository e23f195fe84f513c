from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from malgil_core.text.layout import compose, restore
from malgil_core.text.tokenization import Tokenization

from benchmarks.noise import typed
from benchmarks.quality_cli import QUERIES
from export.catalog import labelled

PIECES = {"thdrma": 4, "송금": 1, "auto": 1, "며새": 2, "ehs qhsorl": 6, "돈 보내기": 2, "ehs": 1, "돈": 1, "qhsorl": 3}


def pieces(text: str) -> int:
    return PIECES.get(text, len(text))


@given(st.text(alphabet=st.characters(min_codepoint=0xAC00, max_codepoint=0xD7A3), min_size=1, max_size=8))
def test_whatever_syllables_were_typed_come_back(text: str) -> None:
    assert compose(typed(text)) == text


@pytest.mark.parametrize(
    ("keys", "shown"),
    [
        ("thdr", "송ㄱ"),
        ("rkqt", "값"),
        ("rkqtl", "갑시"),
        ("tr", "ㅅㄱ"),
        ("hk", "ㅘ"),
        ("RK", "까"),
        ("1thd!", "1송!"),
    ],
)
def test_the_screen_shows_what_an_input_method_shows(keys: str, shown: str) -> None:
    assert compose(keys) == shown


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("thdrma", "송금"),
        ("THDRMA", "송금"),
        ("내 thdrma 한도", "내 송금 한도"),
        ("ehs qhsorl", "돈 보내기"),
        ("auto 이체", "auto 이체"),
        ("card", "card"),
        ("ehs", "ehs"),
        ("송금", "송금"),
    ],
)
def test_the_wrong_layout_is_mended_and_english_is_left_alone(text: str, meant: str) -> None:
    assert restore(text, pieces) == meant


def test_no_word_of_english_in_the_sample_queries_is_taken_for_korean(repository: Path) -> None:
    tokenization = Tokenization.load(repository / "tokenizer" / "1")
    changed = [one.query for one in labelled.read(QUERIES) if tokenization.meant(one.query) != one.query]
    assert not changed
