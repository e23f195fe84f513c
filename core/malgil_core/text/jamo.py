"""Jamo, and characters that show nothing, in the forms that Unicode has for them."""

from __future__ import annotations

import unicodedata

from malgil_core.text.keyboard import JAMO_KEYS

# Compatibility jamo (U+3131…) are what a keyboard types. NFKC makes conjoining ones of them (U+1100…), as it does of
# half-width (U+FFA1…), parenthesised (U+3200…) and circled ones (U+3260…).
_CONJOINING = {unicodedata.normalize("NFKC", jamo): jamo for jamo in JAMO_KEYS} | {
    chr(0x11A7 + at): jamo for at, jamo in enumerate("ㄱㄲㄳㄴㄵㄶㄷㄹㄺㄻㄼㄽㄾㄿㅀㅁㅂㅄㅅㅆㅇㅈㅊㅋㅌㅍㅎ", start=1)
}
_TYPED = {
    code: _CONJOINING[plain]
    for first, last in ((0x1100, 0x11FF), (0x3200, 0x320D), (0x3260, 0x326D), (0xFFA1, 0xFFDC))
    for code in range(first, last + 1)
    if (plain := unicodedata.normalize("NFKC", chr(code)).strip("()")) in _CONJOINING
}
# Without a glyph, though Unicode calls them letters, symbols or marks: Hangul fillers, the blank of Braille, joiners.
_INVISIBLE = set("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
_INVISIBLE_CATEGORIES = ("Cc", "Cf", "Zl", "Zp", "Zs")


def composed(text: str) -> str:
    """The text in NFC, with single jamo as a keyboard types them, whatever form of Unicode they have."""
    return unicodedata.normalize("NFC", text).translate(_TYPED)


def is_blank(text: str) -> bool:
    """Whether a text shows nothing: it is empty, or of spaces, fillers, and control and format characters alone."""
    return all(
        letter in _INVISIBLE or unicodedata.category(letter) in _INVISIBLE_CATEGORIES or _is_selector(letter)
        for letter in text
    )


def _is_selector(letter: str) -> bool:
    """Whether a character chooses between forms of the one before it."""
    return "\ufe00" <= letter <= "\ufe0f" or "\u180b" <= letter <= "\u180f" or "\U000e0100" <= letter <= "\U000e01ef"
