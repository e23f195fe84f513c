"""Results as JSON, and as tables for a terminal, in which a Hangul syllable is two columns wide."""

from __future__ import annotations

import dataclasses
import json
import unicodedata
from collections.abc import Sequence
from typing import Any

from malgil._results import Document, DocumentsResult, SearchResult, SuggestResult, UnifiedResult

_HEAD = ("#", "score", "name", "path", "phrase")
_EXPLAINED = ("dense", "lexical")  # after the score
_SUGGEST_HEAD = ("#", "text", "name", "path", "source")
_DOCUMENT_HEAD = ("#", "score", "title", "url")
_BOLD, _PLAIN = "\x1b[1m", "\x1b[0m"
_STATUSES = {
    "ok": "no documents",
    "late": "no documents: the engine did not answer within the deadline",
    "unavailable": "no documents: the engine is down, or holds none for the server's encoder",
    "off": "no documents: the server has no engine for them",
}


def table(result: SearchResult) -> str:
    """A header line and one line for each hit, in aligned columns; "no hits" if there are none."""
    if not result:
        return "no hits"
    explained = any(hit.dense is not None for hit in result)
    rows: list[Sequence[str]] = [(*_HEAD[:2], *(_EXPLAINED if explained else ()), *_HEAD[2:])]
    for rank, hit in enumerate(result, 1):
        parts = [f"{part:.4f}" for part in (hit.dense, hit.lexical) if part is not None]
        texts = map(_clean, (hit.name, hit.path, hit.phrase))
        rows.append((str(rank), f"{hit.score:.4f}", *parts, *texts))
    return "\n".join(_aligned(rows))


def scope(result: SearchResult) -> str:
    """The line on what the app does not do: whether the query was refused, and the nearest null phrase; or empty."""
    near = result.null and f"{_clean(result.null.topic)} ({_clean(result.null.phrase)}) scores {result.null.score:.4f}"
    if result.refused_by == "floor":
        return f"out of scope: no service scores high enough; of what the app does not do, {near}"
    if result.refused_by:
        return f"out of scope: of what the app does not do, {near}"
    return f"in scope: of what the app does not do, {near}" if near else ""


def documents_table(result: DocumentsResult, bold: bool = False) -> str:
    """A header line and two lines for each document, the second its snippet; a sentence if there are none.

    `bold`: the query's words in the snippets are in bold.
    """
    if not result:
        return _STATUSES.get(result.status, f"no documents: {_clean(result.status)}")
    rows: list[Sequence[str]] = [_DOCUMENT_HEAD]
    for rank, document in enumerate(result, 1):
        rows.append((str(rank), f"{document.score:.4f}", _clean(document.title), _clean(document.url)))
    head, *lines = _aligned(rows)
    indent = " " * (len(str(len(result))) + 2)  # of the column after the rank
    snippets = (indent + _snippet(document, bold) for document in result)
    return "\n".join([head, *(line for pair in zip(lines, snippets, strict=True) for line in pair)])


def suggest_table(result: SuggestResult) -> str:
    """A header line and one line for each suggestion, in aligned columns; "no suggestions" if there are none."""
    if not result:
        return "no suggestions"
    rows: list[Sequence[str]] = [_SUGGEST_HEAD]
    for rank, one in enumerate(result, 1):
        rows.append((str(rank), *map(_clean, (one.text, one.name, one.path, one.source))))
    return "\n".join(_aligned(rows))


def as_json(result: SearchResult | DocumentsResult | UnifiedResult | SuggestResult) -> str:
    """One JSON object on one line."""
    if isinstance(result, SuggestResult):
        answer = {"generation": result.generation, "suggestions": [_fields(one) for one in result]}
    elif isinstance(result, UnifiedResult):
        answer = {"services": _services(result.services), "documents": _documents(result.documents)}
    else:
        answer = _services(result) if isinstance(result, SearchResult) else _documents(result)
    return json.dumps(answer, ensure_ascii=False)


def width(text: str) -> int:
    """Width of the text in terminal columns."""
    return sum(map(_columns, text))


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """One line for each row, its cells two spaces apart."""
    widths = [max(map(width, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell + " " * (size - width(cell)) for cell, size in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _snippet(document: Document, bold: bool) -> str:
    text = _clean(document.snippet)
    for start, end in sorted(document.highlights, reverse=True) if bold else ():
        text = f"{text[:start]}{_BOLD}{text[start:end]}{_PLAIN}{text[end:]}"
    return text


def _services(result: SearchResult) -> dict[str, Any]:
    answer: dict[str, Any] = {"generation": result.generation, "hits": [_fields(hit) for hit in result]}
    if result.refused_by is not None:
        answer |= {"refused_by": result.refused_by, "null": result.null and _fields(result.null)}
    return answer


def _documents(result: DocumentsResult) -> dict[str, Any]:
    return {"status": result.status, "documents": [_fields(document) for document in result]}


def _fields(found: Any) -> dict[str, Any]:
    """The fields of a hit, a document or a null match; without scores that were not requested."""
    # A float32 has seven digits; the further digits of a Python float would be noise.
    return {
        name: round(value, 6) if isinstance(value, float) else value
        for name, value in dataclasses.asdict(found).items()
        if value is not None
    }


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
