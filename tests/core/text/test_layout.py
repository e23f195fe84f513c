import pytest
from hypothesis import given
from hypothesis import strategies as st
from malgil_core.text.layout import compose, latin_words, restore
from malgil_core.text.tokenization import Tokenization

from benchmarks import QUERIES
from benchmarks.noise import typed
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
        ("aud", "aud"),
        ("Aud vnd", "Aud vnd"),
        ("내 ehs", "내 ehs"),
        ("EHS QHSORL", "돈 보내기"),
        ("AUD 환율", "AUD 환율"),
        ("DLS 청약", "DLS 청약"),
        ("VND", "VND"),
        ("DLF", "DLF"),
        ("AUD VND", "AUD VND"),
        ("rp 매수", "rp 매수"),
        ("송금", "송금"),
    ],
)
def test_the_wrong_layout_is_mended_and_english_is_left_alone(text: str, meant: str) -> None:
    assert restore(text, pieces) == meant


def test_words_that_the_catalog_writes_in_latin_letters_stay_whatever_stands_beside_them() -> None:
    for text, expected in (
        ("aud", "aud"),
        ("Aud", "Aud"),
        ("aud thdrma", "aud 송금"),
        ("THDRMA AUD", "송금 AUD"),
        ("thdrma aud thdrma", "송금 aud 송금"),
        ("audi", "며야"),
    ):
        assert restore(text, pieces, {"aud"}) == expected


def test_the_latin_words_of_a_catalog_are_those_of_its_phrases() -> None:
    assert latin_words(["AUD 환율", "aud환전", "IRP-DC 계좌", "송금 2"]) == ["aud", "dc", "irp"]


@pytest.mark.parametrize("text", ["AUD 환율", "DLS 청약", "VND", "DLF", "rp 매수", "aud", "dls", "vnd", "dlf", "rp"])
def test_acronyms_reach_the_encoder_as_they_were_typed(bundled: Tokenization, text: str) -> None:
    assert bundled.restored(text) == text


@pytest.mark.parametrize(
    ("text", "meant"),
    [("thdrma", "송금"), ("THDRMA", "송금"), ("ehs qhsorl", "돈 보내기"), ("내 thdrma 한도", "내 송금 한도")],
)
def test_a_forgotten_layout_is_still_put_right_for_the_encoder(bundled: Tokenization, text: str, meant: str) -> None:
    assert bundled.restored(text) == meant


def test_no_word_of_english_in_the_sample_queries_is_taken_for_korean(bundled: Tokenization) -> None:
    changed = [one.query for one in labelled.read(QUERIES) if bundled.restored(one.query) != one.query]
    assert not changed
