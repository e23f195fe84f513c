"""Correction of the keyboard layout: Latin letters that were meant as Hangul, turned into it."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable

from malgil_core.text.keyboard import FINALS, FIRST_SYLLABLE, INITIALS, JAMO_KEYS, LAST_SYLLABLE, MEDIALS, SYLLABLE_OF

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


def restore(text: str, pieces: Callable[[str], int], latin_words: Container[str] = frozenset()) -> str:
    """The text with words typed with the wrong layout turned into Korean; all else stays.

    A word is taken for Korean if its keys make whole syllables, and the encoder's tokenizer needs fewer pieces for
    those: "thdrma" is 송금; "card" leaves letters over, and "auto" is one piece, 며새 two. A word of one syllable may
    be an acronym, and stays: "aud", "rp 매수". Lexical match, which compares keys, finds what begins with 명 all the
    same.

    Args:
        text: what was typed.
        pieces: how many pieces of the vocabulary a text takes.
        latin_words: words that stay, in lower case.
    """

    def restored(run: str) -> str:
        korean = _WORD.sub(lambda word: compose(word[0]), run.lower() if run.isupper() else run)
        whole = all(letter == " " or FIRST_SYLLABLE <= letter <= LAST_SYLLABLE for letter in korean)
        acronym = all(len(word) == 1 for word in korean.split())
        return korean if whole and not acronym and pieces(korean) < pieces(run) else run

    def restored_words(run: re.Match[str]) -> str:
        known = [word.lower() in latin_words for word in run[0].split()]
        # Words beside each other were typed with one layout: "ehs qhsorl" tells more than "ehs".
        if not any(known) and (together := restored(run[0])) != run[0]:
            return together
        return _WORD.sub(lambda word: word[0] if word[0].lower() in latin_words else restored(word[0]), run[0])

    return _RUN.sub(restored_words, text)


def latin_words(texts: Iterable[str]) -> list[str]:
    """The different words in Latin letters of these texts, in lower case and sorted."""
    return sorted({word.lower() for text in texts for word in _WORD.findall(text)})
