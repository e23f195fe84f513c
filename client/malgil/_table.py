"""Table of hits for a terminal, in which a Hangul syllable is two columns wide."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from malgil._results import SearchResult

_HEAD = ("#", "score", "name", "path", "phrase")
_EXPLAINED = ("dense", "lexical")  # after the score


def table(result: SearchResult) -> str:
    """A header line and one line for each hit, in aligned columns."""
    explained = any(hit.dense is not None for hit in result)
    rows: list[Sequence[str]] = [(*_HEAD[:2], *(_EXPLAINED if explained else ()), *_HEAD[2:])]
    for rank, hit in enumerate(result, 1):
        parts = [f"{part:.4f}" for part in (hit.dense, hit.lexical) if part is not None]
        texts = map(_clean, (hit.name, hit.path, hit.phrase))
        rows.append((str(rank), f"{hit.score:.4f}", *parts, *texts))
    widths = [max(map(width, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell + " " * (size - width(cell)) for cell, size in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def scope(result: SearchResult) -> str:
    """The line on what the app does not do: whether the query was refused, and the nearest null phrase; or empty."""
    near = result.null and f"{_clean(result.null.topic)} ({_clean(result.null.phrase)}) scores {result.null.score:.4f}"
    if result.refused_by == "floor":
        return f"out of scope: no service scores high enough; of what the app does not do, {near}"
    if result.refused_by:
        return f"out of scope: of what the app does not do, {near}"
    return f"in scope: of what the app does not do, {near}" if near else ""


def width(text: str) -> int:
    """Width of the text in terminal columns."""
    return sum(map(_columns, text))


def _columns(char: str) -> int:
    if unicodedata.east_asian_width(char) in "WF":
        return 2
    # Combining marks, zero-width characters, and the vowels and finals of decomposed Hangul have no width.
    if unicodedata.category(char) in {"Mn", "Me", "Cf"} or "\u1160" <= char <= "\u11ff":
        return 0
    return 1


def _clean(text: str) -> str:
    """The text with spaces for control characters: line breaks would break the table, escape codes the terminal."""
    return "".join(char if char.isprintable() else " " for char in text)
