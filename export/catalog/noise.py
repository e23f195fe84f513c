"""Clean queries as people mistype them, seeded: each keystroke, initials, the wrong layout, typos, spacing.

Typos are slips on the two-set keyboard: a neighbouring, missing, additional or doubled key, or two in the wrong order.
What the keys then show is put together as an input method does, stray jamo and all.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence

from malgil_core.catalog.reading import Service
from malgil_core.text.keyboard import SYLLABLE_KEYS
from malgil_core.text.layout import compose

from export.catalog.labelled import Labelled, names

FIRST_KEYS, PREFIX, CHOSUNG, WRONG_LAYOUT = "first_keys", "prefix", "chosung", "wrong_layout"
ONE_TYPO, TWO_TYPOS, SPACING = "one_typo", "two_typos", "spacing"
KINDS = (FIRST_KEYS, PREFIX, CHOSUNG, WRONG_LAYOUT, ONE_TYPO, TWO_TYPOS, SPACING)
SECOND_PAIR = 4  # keys: with the second consonant and vowel a prefix says something
ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")


def typed(text: str) -> str:
    """The keys that type a text with the layout on Hangul, shifted ones as capitals; other letters as they are."""
    return "".join(SYLLABLE_KEYS.get(letter, letter) for letter in text)


def is_korean(text: str) -> bool:
    """Whether a text is Hangul syllables and spaces alone, so that its keys can be turned back."""
    return all(letter == " " or letter in SYLLABLE_KEYS for letter in text)


def keystrokes(text: str) -> Iterator[tuple[int, str]]:
    """(keys so far, what the screen shows) at each key but the last."""
    keys = typed(text)
    for at in range(1, len(keys)):
        if keys[at - 1] != " ":
            yield at, compose(keys[:at]).rstrip()


def initials(text: str) -> str:
    """The initial consonants, without spaces: "ㄱㅈㅇㅊ"."""
    return "".join(compose(SYLLABLE_KEYS[letter][0]) for letter in text if letter != " ")


def typo(text: str, draw: random.Random, slips: int = 1) -> str:
    """The text with so many slips of the fingers, never the same as before."""
    keys = typed(text)
    while True:
        slipped = keys
        for _ in range(slips):
            at = draw.choice([i for i, key in enumerate(slipped) if key != " "])
            slipped = draw.choice(_SLIPS)(slipped, at, draw)
        shown = compose(slipped)
        if shown != text and shown.strip():
            return shown


def spacing(text: str, draw: random.Random) -> str:
    """The text without its spaces, or with one where none belongs."""
    if " " in text:
        return text.replace(" ", "")
    at = draw.randrange(1, len(text))
    return f"{text[:at]} {text[at:]}"


def noisy(clean: Sequence[Labelled], names_typed: Sequence[Labelled], seed: int = 0) -> list[Labelled]:
    """Noisy queries: keystrokes, initials and layout of names and keywords, typos and spacing of all clean queries.

    Args:
        clean: labelled queries of the clean kinds.
        names_typed: the services' names as queries.
        seed: the same gives the same.
    """
    draw = random.Random(seed)
    short = [one for one in (*names_typed, *(c for c in clean if c.kind == "keyword")) if is_korean(one.query)]
    found: list[Labelled] = []
    for one in short:
        for keys, shown in keystrokes(one.query):
            found.append(one.as_kind(PREFIX if keys >= SECOND_PAIR else FIRST_KEYS, shown))
        if len(one.query.replace(" ", "")) > 1:
            found.append(one.as_kind(CHOSUNG, initials(one.query)))
        found.append(one.as_kind(WRONG_LAYOUT, typed(one.query)))
    for one in clean:
        if one.id is None or not is_korean(one.query):
            continue
        found += [one.as_kind(ONE_TYPO, typo(one.query, draw)), one.as_kind(TWO_TYPOS, typo(one.query, draw, 2))]
        if len(one.query) > 1:
            found.append(one.as_kind(SPACING, spacing(one.query, draw)))
    return found


def with_noise(given: Sequence[Labelled], services: Sequence[Service]) -> list[Labelled]:
    """Labelled queries, and what `noisy` makes of the clean ones and of the services' names."""
    return [*given, *noisy([one for one in given if one.kind not in KINDS], names(services))]


def _neighbour(key: str, draw: random.Random) -> str:
    for row, other in ((row, r) for r, row in enumerate(ROWS)):
        at = row.find(key.lower())
        if at >= 0:
            beside = row[max(at - 1, 0) : at] + row[at + 1 : at + 2]
            for near in ROWS[max(other - 1, 0) : other] + ROWS[other + 1 : other + 2]:
                beside += near[at : at + 1]
            return draw.choice(beside)
    return key


def _substitute(keys: str, at: int, draw: random.Random) -> str:
    return keys[:at] + _neighbour(keys[at], draw) + keys[at + 1 :]


def _omit(keys: str, at: int, draw: random.Random) -> str:
    return keys[:at] + keys[at + 1 :]


def _double(keys: str, at: int, draw: random.Random) -> str:
    return keys[:at] + keys[at] + keys[at:]


def _insert(keys: str, at: int, draw: random.Random) -> str:
    return keys[:at] + _neighbour(keys[at], draw) + keys[at:]


def _transpose(keys: str, at: int, draw: random.Random) -> str:
    return keys[:at] + keys[at : at + 2][::-1] + keys[at + 2 :]


_SLIPS: tuple[Callable[[str, int, random.Random], str], ...] = (_substitute, _omit, _double, _insert, _transpose)
