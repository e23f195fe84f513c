"""Jamo in the forms that Unicode has for them."""

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


def composed(text: str) -> str:
    """The text in NFC, with single jamo as a keyboard types them, whatever form of Unicode they have."""
    return unicodedata.normalize("NFC", text).translate(_TYPED)
