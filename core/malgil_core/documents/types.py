"""Types that a search for documents shares: the options of a query, and what is found."""

from __future__ import annotations

from dataclasses import dataclass

from malgil_core.documents.filters import ALL, Filter

DEFAULT_TOP_K = 5
MAX_TOP_K = 20


@dataclass(frozen=True)
class DocumentOptions:
    """The options of one query."""

    top_k: int = DEFAULT_TOP_K
    filter: Filter = ALL


@dataclass(frozen=True)
class Document:
    """A document that was found, by its best passage or phrase.

    Attributes:
        id, title, url, category, updated_at, service_ids: as they were ingested.
        snippet: a part of its best passage: never a phrase, which its author may not have written to be read.
        start: where the snippet begins in the body, in characters (Unicode code points).
        highlights: [start, end) in the snippet of words that the query has too.
        score: the fused one, that documents are in the order of.
        dense: cosine of the passage or phrase; the least that was looked at, if only its words were found.
        lexical: its BM25 score, divided by that of the query with itself.
    """

    id: str
    title: str
    url: str
    category: str
    updated_at: str | None
    service_ids: tuple[str, ...]
    snippet: str
    start: int
    highlights: list[tuple[int, int]]
    score: float
    dense: float
    lexical: float


def check_top_k(value: int) -> int:
    """The number of documents.

    Raises:
        ValueError: outside 1…20.
    """
    if not 1 <= value <= MAX_TOP_K:
        raise ValueError(f"documents_top_k is {value}: it must be from 1 to {MAX_TOP_K}")
    return value
