"""The two-set Korean keyboard (KS X 5002): the Latin keys that type each Hangul letter.

A key is named by the Latin letter on it, a shifted key by the capital: 송금 is typed "thdrma", 까 is typed "Rk".
The lists are in the order in which Unicode composes syllables.
"""

from __future__ import annotations

from itertools import product

INITIALS = "r R s e E f a q Q t T d w W c z x v g".split()
MEDIALS = "k o i O j p u P h hk ho hl y n nj np nl b m ml l".split()
FINALS = ["", *"r R rt s sw sg e f fr fa fq ft fx fv fg a q qt t T d w c z x v g".split()]
# Compatibility jamo, U+3131 to U+3163, as they are typed alone: 30 consonants, then the vowels.
JAMO = [*"r R rt s sw sg e E f fr fa fq ft fx fv fg a q Q qt t T d w W c z x v g".split(), *MEDIALS]

FIRST_SYLLABLE, LAST_SYLLABLE = "\uac00", "\ud7a3"
FIRST_JAMO, LAST_CONSONANT, LAST_JAMO = "\u3131", "\u314e", "\u3163"

SYLLABLE_KEYS = {
    chr(ord(FIRST_SYLLABLE) + at): "".join(keys) for at, keys in enumerate(product(INITIALS, MEDIALS, FINALS))
}
JAMO_KEYS = {chr(ord(FIRST_JAMO) + at): keys for at, keys in enumerate(JAMO)}
SYLLABLE_OF = {keys: syllable for syllable, keys in SYLLABLE_KEYS.items()}
