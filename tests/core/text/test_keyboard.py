"""The keyboard: one table for the whole search, and it is the one that Koreans type on."""

from __future__ import annotations

import unicodedata

from malgil_core.text.keyboard import JAMO_KEYS, SYLLABLE_KEYS, SYLLABLE_OF


def test_the_letters_on_the_keys_are_those_of_the_two_set_layout() -> None:
    rows = {"qwertyuiop": "ㅂㅈㄷㄱㅅㅛㅕㅑㅐㅔ", "asdfghjkl": "ㅁㄴㅇㄹㅎㅗㅓㅏㅣ", "zxcvbnm": "ㅋㅌㅊㅍㅠㅜㅡ"}
    shifted = {"QWERTOP": "ㅃㅉㄸㄲㅆㅒㅖ"}
    printed = {
        letter: key for keys, letters in (rows | shifted).items() for key, letter in zip(keys, letters, strict=True)
    }
    assert {letter: key for letter, key in JAMO_KEYS.items() if len(key) == 1} == printed


def test_every_syllable_is_typed_as_its_jamo_are_and_no_two_alike() -> None:
    jamo = {unicodedata.normalize("NFKC", chr(code)): chr(code) for code in range(0x3131, 0x3164)}
    for syllable, keys in SYLLABLE_KEYS.items():
        initial, medial = list(unicodedata.normalize("NFD", syllable))[:2]
        assert keys.startswith(JAMO_KEYS[jamo[initial]] + JAMO_KEYS[jamo[medial]])
    assert len(SYLLABLE_OF) == len(SYLLABLE_KEYS) == 11_172
    assert SYLLABLE_KEYS["값"] == "rkqt"
    assert SYLLABLE_KEYS["뷁"] == "qnpfr"
