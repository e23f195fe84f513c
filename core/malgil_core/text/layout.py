"""Text typed with the keyboard layout left on Latin, turned into the Hangul that was meant. Pure: no Triton here."""

from __future__ import annotations

import re
from collections.abc import Callable

# Keys of the standard two-set layout (KS X 5002), in the order that Unicode composes syllables in.
INITIALS = "r R s e E f a q Q t T d w W c z x v g".split()
MEDIALS = "k o i O j p u P h hk ho hl y n nj np nl b m ml l".split()
FINALS = ["", *"r R rt s sw sg e f fr fa fq ft fx fv fg a q qt t T d w c z x v g".split()]
# Compatibility jamo, from U+3131 on, as they are typed alone.
JAMO = (
    "r R rt s sw sg e E f fr fa fq ft fx fv fg a q Q qt t T d w W c z x v g "
    "k o i O j p u P h hk ho hl y n nj np nl b m ml l"
).split()


def _any(keys: list[str]) -> str:
    return "|".join(sorted(filter(None, keys), key=len, reverse=True))


# A consonant before a vowel begins the next syllable: 감 + l is 가미.
_SYLLABLE = re.compile(rf"({_any(INITIALS)})({_any(MEDIALS)})((?:{_any(FINALS)})(?![{''.join(MEDIALS)}]))?")
_LONE = re.compile(f"{_any(MEDIALS)}|[A-Za-z]")
_WORD = re.compile(r"[A-Za-z]+")
_RUN = re.compile(r"[A-Za-z]+(?: +[A-Za-z]+)*")


def compose(typed: str) -> str:
    """What typing these keys shows with the layout on Hangul; keys that complete no syllable stay jamo."""
    shifted = re.sub(r"[A-Z]", lambda key: key[0] if key[0] in "RETQWOP" else key[0].lower(), typed)
    return _LONE.sub(_jamo, _SYLLABLE.sub(_syllable, shifted))


def restore(text: str, pieces: Callable[[str], int]) -> str:
    """Latin words that are Korean typed with the wrong layout as the Korean; all else as it is.

    Words are taken for Korean if their keys make syllables with nothing left over, and the encoder's tokenizer needs
    fewer pieces for those: "thdrma" is 송금; "card" leaves letters over, and "auto" is one piece, 며새 two.

    Args:
        text: what was typed.
        pieces: how many pieces of the vocabulary a text takes.
    """

    def restored(run: str) -> str:
        typed = run.lower() if run.isupper() else run  # caps lock
        korean = _WORD.sub(lambda word: compose(word[0]), typed)
        whole = all(letter == " " or "가" <= letter <= "힣" for letter in korean)
        return korean if whole and pieces(korean) < pieces(run) else run

    # Words beside each other were typed alike: "ehs qhsorl" tells more than "ehs".
    return _RUN.sub(lambda run: _by_word(run[0], restored), text)


def _by_word(run: str, restored: Callable[[str], str]) -> str:
    together = restored(run)
    return together if together != run else _WORD.sub(lambda word: restored(word[0]), run)


def _syllable(match: re.Match[str]) -> str:
    initial, medial, final = match.groups(default="")
    at = INITIALS.index(initial) * len(MEDIALS) + MEDIALS.index(medial)
    return chr(0xAC00 + at * len(FINALS) + FINALS.index(final))


def _jamo(match: re.Match[str]) -> str:
    return chr(0x3131 + JAMO.index(match[0]))
