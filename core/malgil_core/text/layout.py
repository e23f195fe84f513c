"""Correction of the keyboard layout: Latin letters that were meant as Hangul, turned into it."""

from __future__ import annotations

import re
from collections.abc import Callable

from malgil_core.text.keyboard import FINALS, INITIALS, JAMO_KEYS, MEDIALS, SYLLABLE_OF

_JAMO_OF = {keys: jamo for jamo, keys in JAMO_KEYS.items()}


def _any(keys: list[str]) -> str:
    return "|".join(sorted(filter(None, keys), key=len, reverse=True))


# A consonant before a vowel begins the next syllable: 감 + l is 가미.
_SYLLABLE = re.compile(rf"(?:{_any(INITIALS)})(?:{_any(MEDIALS)})(?:(?:{_any(FINALS)})(?![{''.join(MEDIALS)}]))?")
_LONE = re.compile(f"{_any(MEDIALS)}|[A-Za-z]")
_WORD = re.compile(r"[A-Za-z]+")
_RUN = re.compile(r"[A-Za-z]+(?: +[A-Za-z]+)*")


def compose(typed: str) -> str:
    """The text that these keys type with the layout on Hangul; keys that complete no syllable give single jamo."""
    shifted = re.sub(r"[A-Z]", lambda key: key[0] if key[0] in "RETQWOP" else key[0].lower(), typed)
    syllables = _SYLLABLE.sub(lambda keys: SYLLABLE_OF[keys[0]], shifted)
    return _LONE.sub(lambda keys: _JAMO_OF[keys[0]], syllables)


def restore(text: str, pieces: Callable[[str], int]) -> str:
    """The text with words typed with the wrong layout turned into Korean; all else stays.

    A word is taken for Korean if its keys make whole syllables, and the encoder's tokenizer needs fewer pieces for
    those: "thdrma" is 송금; "card" leaves letters over, and "auto" is one piece, 며새 two.

    Args:
        text: what was typed.
        pieces: how many pieces of the vocabulary a text takes.
    """

    def restored(run: str) -> str:
        typed = run.lower() if run.isupper() else run  # caps lock
        korean = _WORD.sub(lambda word: compose(word[0]), typed)
        whole = all(letter == " " or "가" <= letter <= "힣" for letter in korean)
        return korean if whole and pieces(korean) < pieces(run) else run

    # Words beside each other were typed with one layout: "ehs qhsorl" tells more than "ehs".
    return _RUN.sub(lambda run: _by_word(run[0], restored), text)


def _by_word(run: str, restored: Callable[[str], str]) -> str:
    together = restored(run)
    return together if together != run else _WORD.sub(lambda word: restored(word[0]), run)
