"""New thresholds of services that have one in the catalog: after a training the old ones are scores of another scale.

The threshold of a service is the highest at which at most a given share of its own queries is lost: the labelled ones,
and each of its phrases, left out of the catalog in turn. It follows from the encoder that serves alone, so the one
before is not needed, and needs no labels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from malgil_core.catalog.service import Service
from malgil_core.index.generation import Generation
from malgil_core.ranking.fusion import fused
from malgil_core.ranking.types import Floats

from export.catalog.labelled import Labelled


@dataclass(frozen=True)
class Proposal:
    """A new threshold of a service.

    Attributes:
        id: of the service.
        name: its name.
        catalog: the threshold in the catalog.
        threshold: the one that is proposed.
        queries: number of its own queries.
        lost: share of them below the catalog's threshold.
    """

    id: int
    name: str
    catalog: float
    threshold: float
    queries: int
    lost: float


def proposals(
    services: Sequence[Service],
    generation: Generation,
    labelled: Sequence[Labelled],
    embeddings: Floats,
    cost: float,
) -> list[Proposal]:
    """New thresholds of the open services that have one.

    Args:
        services: of the catalog.
        generation: of the catalog; its weights count.
        labelled: queries.
        embeddings: their unit vectors.
        cost: share of a service's own queries that may be lost.
    """
    found = []
    for service in services:
        if service.open and service.threshold is not None:
            chosen = [place for place, query in enumerate(labelled) if query.id == service.id]
            texts = [labelled[place].query for place in chosen]
            scores = np.sort([*own_scores(generation, service.id, texts, embeddings[chosen])])
            # Rounded down: the query whose score it is still finds the service.
            threshold = float(np.floor(scores[int(cost * len(scores))] * 1e4) / 1e4)
            lost = float((scores < np.float32(service.threshold)).mean())
            found.append(Proposal(service.id, service.name, service.threshold, max(threshold, -1.0), len(scores), lost))
    return found


def own_scores(generation: Generation, id: int, texts: Sequence[str], embeddings: Floats) -> Iterator[float]:
    """The score of an open service for each query, then for each of its texts without the text itself.

    Args:
        generation: that has the service.
        id: of the service.
        texts: queries.
        embeddings: their unit vectors.
    """
    assert generation.lexical
    service = int(np.flatnonzero(generation.ids_padded[:-1] == id)[0])
    low, high = np.searchsorted(generation.service_of_row, [service, service + 1]).tolist()
    phrases = [generation.phrases_padded[row].decode() for row in range(low, high)]
    left_out = [-1] * len(texts) + list(range(low, high))
    cosines = np.concatenate([embeddings, generation.matrix[low:high]]) @ generation.matrix[low:high].T
    for row, without, found in zip(cosines, left_out, generation.lexical.all_matches([*texts, *phrases]), strict=True):
        others = np.arange(low, high) != without
        matched = (found.rows >= low) & (found.rows < high) & (found.rows != without)
        lexical = found.scores[matched].max(initial=0)
        yield float(fused(row[others].max(initial=-1, keepdims=True), np.array([lexical], np.float32))[0])
