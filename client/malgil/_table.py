"""Hits as a table for a terminal, where a syllable of Hangul is two columns wide."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from malgil._results import SearchResult

_HEAD = ("#", "score", "name", "path", "phrase")


def table(result: SearchResult) -> str:
    """The hits, a line each under a head line, in aligned columns."""
    rows: list[Sequence[str]] = [_HEAD]
    for rank, hit in enumerate(result, 1):
        rows.append((str(rank), f"{hit.score:.4f}", _clean(hit.name), _clean(hit.path), _clean(hit.phrase)))
    widths = [max(map(width, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell + " " * (size - width(cell)) for cell, size in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def width(text: str) -> int:
    """Columns that the text takes in a terminal."""
    return sum(map(_columns, text))


def _columns(char: str) -> int:
    if unicodedata.east_asian_width(char) in "WF":
        return 2
    # Combining marks, zero-width characters, and the vowels and finals of decomposed Hangul take no room.
    if unicodedata.category(char) in {"Mn", "Me", "Cf"} or "\u1160" <= char <= "\u11ff":
        return 0
    return 1


def _clean(text: str) -> str:
    """Without control characters: a line break would break the table, an escape code the terminal."""
    return "".join(char if char.isprintable() else " " for char in text)
