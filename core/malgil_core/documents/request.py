"""A request for documents: its tensors checked and parsed, and the tensors of its answer.

The text of every ValueError is a sentence for the caller: the field, the value, the bound.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from malgil_core.documents.filters import parse_filter
from malgil_core.documents.types import DEFAULT_TOP_K, Document, DocumentOptions, check_top_k
from malgil_core.ranking.request import check_embeddings
from malgil_core.ranking.types import Floats
from malgil_core.text.validation import check_shape, parse_texts, require

MAX_DEADLINE_MS = 10_000
T = TypeVar("T")


@dataclass(frozen=True)
class DocumentsRequest:
    """The queries of one request.

    Attributes:
        queries: [B] texts.
        embeddings: float32 [B, D].
        options: [B].
        deadline: seconds from its arrival until the answer is given, with or without documents.
        arrived: when the tokenizer took it up, in seconds of `time.monotonic()`; None if it did not pass there.
    """

    queries: list[str]
    embeddings: Floats
    options: list[DocumentOptions]
    deadline: float
    arrived: float | None = None

    def left(self, now: float) -> float:
        """The seconds that are left at a time of `time.monotonic()`, negative after the deadline."""
        return self.deadline - (0.0 if self.arrived is None else max(now - self.arrived, 0.0))

    @classmethod
    def parse(cls, tensors: Mapping[str, Any], dimension: int, deadline_ms: int) -> DocumentsRequest:
        """A request's input tensors by the names of the retriever's config; no entry where an optional one is absent.

        Args:
            tensors: arrays, each with the batch first.
            dimension: numbers in an embedding.
            deadline_ms: where the request has none.

        Raises:
            ValueError: a required tensor is missing, or a value is out of its bounds.
        """
        queries = parse_texts("query", _elements(tensors, "query", bytes))
        embeddings = require("embedding", tensors.get("embedding"))
        check_embeddings(embeddings, dimension)
        filters = [parse_filter(raw) for raw in _elements(tensors, "documents_filter", bytes) or [b""] * len(queries)]
        top_ks = _elements(tensors, "documents_top_k", int) or [DEFAULT_TOP_K] * len(queries)
        options = [DocumentOptions(check_top_k(top_k), chosen) for top_k, chosen in zip(top_ks, filters, strict=True)]
        deadlines = _elements(tensors, "documents_deadline_ms", int) or [deadline_ms]
        arrived = _elements(tensors, "arrived", int)
        longest = max(map(_check_deadline, deadlines)) / 1000
        return cls(queries, embeddings, options, longest, min(arrived) / 1e9 if arrived else None)


def _elements(tensors: Mapping[str, Any], name: str, kind: Callable[[Any], T]) -> list[T] | None:
    tensor = tensors.get(name)
    if tensor is None:
        return None
    check_shape(name, tensor.shape)
    return list(map(kind, tensor.ravel().tolist()))


def _check_deadline(value: int) -> int:
    if not 1 <= value <= MAX_DEADLINE_MS:
        raise ValueError(f"documents_deadline_ms is {value}: it must be from 1 to {MAX_DEADLINE_MS}")
    return value


def lay_out(found: Sequence[Sequence[Document]], options: Sequence[DocumentOptions], status: str) -> dict[str, Any]:
    """The output tensors of one request: K columns, K the largest documents_top_k.

    Columns without a document have empty texts and score -1. Highlights are JSON, [[start, end], …].

    Args:
        found: [B], the documents of each query, best first.
        options: [B].
        status: of the answer.
    """
    columns = max(query.top_k for query in options)
    shape = (len(found), columns)
    scores = np.full(shape, -1, dtype=np.float32)
    texts = {name: np.full(shape, b"", dtype=np.object_) for name in _TEXTS}
    for i, documents in enumerate(found):
        for place, document in enumerate(documents):
            scores[i, place] = document.score
            for name, text_of in _TEXTS.items():
                texts[name][i, place] = text_of(document).encode()
    statuses = np.full((len(found), 1), status.encode(), dtype=np.object_)
    return {**texts, "document_score": scores, "documents_status": statuses}


_TEXTS: dict[str, Callable[[Document], str]] = {
    "document_id": lambda document: document.id,
    "title": lambda document: document.title,
    "snippet": lambda document: document.snippet,
    "highlights": lambda document: json.dumps(document.highlights),
    "url": lambda document: document.url,
    "category": lambda document: document.category,
}
