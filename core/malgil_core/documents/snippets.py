"""Snippets: the sentences of a passage that fit a query best, and where the query's words stand in them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from malgil_core.documents.bm25 import units

LENGTH = 160  # characters of a snippet at most
_WORD = re.compile(r"\w+")


class Snippet(NamedTuple):
    """A part of a passage.

    Attributes:
        text: of it; it begins and ends with a sentence, or within one that is too long.
        start: where it begins in the passage, in characters (Unicode code points).
        highlights: [start, end) in `text` of words that the query has too, in order.
    """

    text: str
    start: int
    highlights: list[tuple[int, int]]


def snippet(passage: str, ends: Sequence[int], query: str, weights: Mapping[int, float]) -> Snippet:
    """The best sentence, with those after it that there is room for.

    The sentence of the highest BM25 weight per query is taken; the first where none shares a unit with the query:

    >>> from malgil_core.documents.bm25 import Statistics, units
    >>> statistics, passage = Statistics(), "앱을 엽니다. 이체 한도를 늘릴 수 있어요."
    >>> statistics.add(units(passage))
    >>> found = snippet(passage, [7, 25], "한도 늘리기", statistics.query_weights("한도 늘리기"))
    >>> found.text, [found.text[start:end] for start, end in found.highlights]
    ('이체 한도를 늘릴 수 있어요.', ['한도'])

    Args:
        passage: the text.
        ends: where its sentences end, ascending; the last is its length.
        query: as it was typed.
        weights: of the query's units.
    """
    spans = [span for span in pairwise([0, *ends]) if passage[slice(*span)].strip()] or [(0, len(passage))]
    shares = [sum(weights.get(unit, 0.0) for unit in units(passage[start:end])) for start, end in spans]
    best = max(range(len(spans)), key=shares.__getitem__)
    start, end = spans[best]
    for _, later in spans[best + 1 :]:
        if later - start > LENGTH:
            break
        end = later
    text = passage[start:end]
    start, text = start + len(text) - len(text.lstrip()), text.strip()
    if len(text) > LENGTH:
        first = next((at for at, _ in _shared(text, query)), 0)
        cut = max(min(first - LENGTH // 4, len(text) - LENGTH), 0)
        start, text = start + cut, text[cut : cut + LENGTH]
    return Snippet(text, start, _shared(text, query))


def _shared(text: str, query: str) -> list[tuple[int, int]]:
    """The words of a text that begin as one of the query's: by two letters or more, or as a whole word of it."""
    asked = {unicodedata.normalize("NFC", word).lower() for word in _WORD.findall(query)}
    found = []
    for match in _WORD.finditer(text):
        word = match.group().lower()
        common = [(_common(word, one), one) for one in asked]
        length = max((length for length, one in common if length >= 2 or length == len(one)), default=0)
        if length and len(word) == len(match.group()):
            found.append((match.start(), match.start() + length))
    return found


def _common(a: str, b: str) -> int:
    """How many letters two words begin with in common."""
    length = 0
    for one, other in zip(a, b, strict=False):
        if one != other:
            break
        length += 1
    return length
