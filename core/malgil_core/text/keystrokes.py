"""Korean text as the keys that type it, so that unfinished syllables, slips and the wrong layout are plain strings.

The keys are those of the standard two-set layout (KS X 5002), named by the Latin letters on them: 송금 is "thdrma", and
so is "thdrma" typed with the layout left on Latin; 송ㄱ is a prefix of it, and so is 속 of 소개 ("thro"). Shifted keys
are their plain ones (ㄲ is "r"), so that case and a missed shift cost nothing. Pure: no Triton here.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

INITIALS = "r r s e e f a q q t t d w w c z x v g".split()
MEDIALS = "k o i o j p u p h hk ho hl y n nj np nl b m ml l".split()
FINALS = ["", *"r r rt s sw sg e f fr fa fq ft fx fv fg a q qt t t d w c z x v g".split()]
# Compatibility jamo, U+3131 to U+3163, as they are typed alone.
JAMO = (
    "r r rt s sw sg e e f fr fa fq ft fx fv fg a q q qt t t d w w c z x v g "
    "k o i o j p u p h hk ho hl y n nj np nl b m ml l"
).split()
FIRST_SYLLABLE, LAST_SYLLABLE = 0xAC00, 0xD7A3
FIRST_JAMO, LAST_CONSONANT = 0x3131, 0x314E
_UNSEEN = re.compile(r"[^0-9a-z\uac00-\ud7a3\u3131-\u3163]+")
_CONSONANTS = "qwertasdfgzxcv"
# One letter for each Hangul letter typed: what `str.translate` turns a text into.
_TYPED = {
    **{
        FIRST_SYLLABLE + (i * len(MEDIALS) + m) * len(FINALS) + f: INITIALS[i] + MEDIALS[m] + FINALS[f]
        for i in range(len(INITIALS))
        for m in range(len(MEDIALS))
        for f in range(len(FINALS))
    },
    **{FIRST_JAMO + i: keys for i, keys in enumerate(JAMO)},
}
_FIRST = {code: keys[0] for code, keys in _TYPED.items() if code >= FIRST_SYLLABLE}


def words(text: str) -> list[str]:
    """The words of a text in one spelling of Unicode and case: letters of Hangul and Latin and digits alone.

    Compatibility and decomposed forms, full-width letters and case are folded (NFKC; jamo typed alone stay apart).
    """
    composed = unicodedata.normalize("NFC", text)
    if not composed.isascii():
        # NFKC would join jamo typed alone into syllables.
        composed = "".join(c if "\u3131" <= c <= "\u3163" else unicodedata.normalize("NFKC", c) for c in composed)
    return _UNSEEN.sub(" ", composed.lower()).split()


def keys(word: str) -> str:
    """The keys that type a word of `words`."""
    return word.translate(_TYPED)


def initials(word: str) -> str:
    """The keys of each syllable's first consonant, other letters as they are: 송금 is "tr"."""
    return word.translate(_FIRST).translate(_TYPED)


def only_consonants(word: str) -> bool:
    """Whether a word of `words` may be initial consonants: jamo, or the keys of jamo with the layout on Latin."""
    return all("\u3131" <= letter <= "\u314e" for letter in word) or all(letter in _CONSONANTS for letter in word)


def key_grams(spelled: Sequence[str]) -> list[str]:
    """Trigrams of a text's keys, across spaces, and the first two keys of each word; `spelled`: its words' keys."""
    letters = "".join(spelled)
    return [letters[at : at + 3] for at in range(len(letters) - 2)] + ["^" + word[:2] for word in spelled]


def initial_grams(spelled: Sequence[str]) -> list[str]:
    """Bigrams and trigrams of a text's initial consonants, across spaces; `spelled`: its words' initials."""
    letters = "".join(spelled)
    return [letters[at : at + size] for size in (2, 3) for at in range(len(letters) - size + 1)]
