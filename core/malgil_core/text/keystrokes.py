"""Keystrokes: Korean text as the keys that type it, so that half-typed syllables and slips are plain strings.

송금 is "thdrma" on the two-set keyboard, and so is "thdrma" typed with the layout left on Latin; 송ㄱ is a prefix of
it, and 속 of 소개 ("thro"). Shifted keys count as plain ones (ㄲ is "r"), so that case and a missed shift cost nothing.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from malgil_core.text.jamo import composed
from malgil_core.text.keyboard import FINALS, FIRST_JAMO, JAMO_KEYS, LAST_CONSONANT, LAST_JAMO, MEDIALS, SYLLABLE_KEYS

_IGNORED = re.compile(r"[^0-9a-z\uac00-\ud7a3\u3131-\u3163]+")
_CONSONANT_KEYS = "qwertasdfgzxcv"
_KEYS = str.maketrans({letter: keys.lower() for letter, keys in (SYLLABLE_KEYS | JAMO_KEYS).items()})
_REST_OF_SYLLABLE = f"(?:{'|'.join(MEDIALS).lower()})(?:{'|'.join(FINALS).lower()})"
_FIRST_KEY = str.maketrans({letter: keys[0].lower() for letter, keys in SYLLABLE_KEYS.items()})


def words(text: str) -> list[str]:
    """The words of a text, lower-cased and in one Unicode form; only Hangul, Latin letters and digits are kept.

    Compatibility forms, decomposed syllables and full-width letters are folded; single jamo stay single.
    """
    if not text.isascii():
        # NFKC would join single jamo into syllables.
        text = "".join(c if FIRST_JAMO <= c <= LAST_JAMO else unicodedata.normalize("NFKC", c) for c in composed(text))
    return _IGNORED.sub(" ", text.lower()).split()


def keys(word: str) -> str:
    """The keys that type a word of `words`."""
    return word.translate(_KEYS)


def initials(word: str) -> str:
    """The keys of each syllable's initial consonant, other letters as they are: 송금 is "tr"."""
    return word.translate(_FIRST_KEY).translate(_KEYS)


def only_consonants(word: str) -> bool:
    """Whether a word of `words` may be initial consonants: jamo, or the keys of jamo with the layout on Latin."""
    jamo = all(FIRST_JAMO <= letter <= LAST_CONSONANT for letter in word)
    return jamo or all(letter in _CONSONANT_KEYS for letter in word)


def initials_pattern(query: Sequence[str]) -> str | None:
    """A regular expression for the keys of phrases that the words of a query abbreviate, or None.

    A consonant typed alone stands for any syllable that begins with it, other letters for themselves: 카드 ㅂㅅ
    abbreviates 카드 분실 신고, and ㅈㄷ이체 자동이체. A query abbreviates only if it mixes letters and lone consonants,
    and one of these is not at the end, where it may also be half a syllable.
    """
    text = "".join(query)
    lone = [FIRST_JAMO <= letter <= LAST_CONSONANT for letter in text]
    if not any(lone[:-1]) or all(lone):
        return None
    items = [
        item
        for letter, is_lone in zip(text, lone, strict=True)
        for item in ([key + _REST_OF_SYLLABLE for key in keys(letter)] if is_lone else [re.escape(keys(letter))])
    ]
    return "(?:^| )" + " ?".join(items)


def key_grams(words: Sequence[str]) -> list[str]:
    """N-grams of a text's keys, given its words as `keys`: trigrams across spaces, and how each word begins."""
    text = "".join(words)
    return [text[at : at + 3] for at in range(len(text) - 2)] + ["^" + word[:2] for word in words]


def initial_grams(words: Sequence[str]) -> list[str]:
    """N-grams of a text's initials, given its words as `initials`: bigrams and trigrams across spaces."""
    text = "".join(words)
    return [text[at : at + size] for size in (2, 3) for at in range(len(text) - size + 1)]
