"""What a threshold of a service would cut: its own phrases and the test queries that should find it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from console.draft import Draft
from export.catalog import labelled
from export.catalog.labelled import LabelError, Labelled
from export.catalog.service_thresholds import own_scores
from store.store import Store

MOST_QUERIES = 200  # of the test sets; each is embedded once


@dataclass(frozen=True)
class Lost:
    """A text whose search the service would be cut from; its score is that of the service."""

    text: str
    score: float
    is_query: bool


@dataclass(frozen=True)
class Cut:
    """What a threshold would cut.

    Attributes:
        phrases, queries: how many of the service's own texts and of the test queries were scored.
        lost: those below the threshold, the lowest first.
    """

    phrases: int
    queries: int
    lost: list[Lost]


def preview(draft: Draft, store: Store, id: int, threshold: float) -> Cut | None:
    """What a threshold would cut of a service as the draft holds it; None if it is closed or new there.

    Each of its texts is left out of the catalog and searched for, so that it stands for a query that nobody thought of.

    Raises:
        DraftError: there is no draft yet, or the server cannot embed the queries.
    """
    drafted = draft.drafted
    if drafted is None or id not in drafted.generation.ids_padded[:-1]:
        return None
    queries = list(dict.fromkeys(one.query for one in saved(store) if one.id == id))[:MOST_QUERIES]
    dimension = drafted.generation.dimension
    vectors = draft.query_vectors(queries) if queries else np.empty((0, dimension), np.float32)
    service = next(one for one in drafted.catalog.services if one.id == id)
    texts = [*queries, *service.texts]
    scores = list(own_scores(drafted.generation, id, queries, vectors))
    pairs = zip(texts, scores, strict=True)
    lost = [
        Lost(text, score, place < len(queries))
        for place, (text, score) in enumerate(pairs)
        if np.float32(score) < np.float32(threshold)
    ]
    return Cut(len(service.texts), len(queries), sorted(lost, key=lambda one: one.score))


def saved(store: Store) -> list[Labelled]:
    """The queries of all saved test sets; one that cannot be read is left out."""
    found: list[Labelled] = []
    for one in store.test_sets():
        try:
            found += labelled.parse(one.content, one.name)
        except LabelError:
            continue
    return found
