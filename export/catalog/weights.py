"""A search for weights of lexical matches that suit an encoder, by labelled queries.

Dense similarity and lexical score make one score (malgil_core.ranking.fusion), so the weights of lexical matches also
say how much these count beside an encoder's cosines: after a training, which moves cosines, they are chosen again.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields

import numpy as np
from malgil_core.catalog.service import Service
from malgil_core.index.generation import Generation
from malgil_core.lexical.index import LexicalIndex, Weights
from malgil_core.ranking.fusion import fused
from malgil_core.ranking.types import Floats, Ints

from export.catalog.labelled import OUT_OF_SCOPE, Labelled
from export.catalog.noise import KINDS, with_noise
from export.progress import Advance

MOST = 100  # queries of one kind and half: keystrokes are many
STEP = 0.15  # standard deviation of a change
HIGHEST = 0.99  # weight tried
LOSS = 10.0  # times the recall@5 that queries without slips lose against the cosine alone
BATCH = 256


@dataclass(frozen=True)
class Figures:
    """Figures of one kind of query."""

    recall_1: float
    recall_5: float
    mrr: float
    queries: int

    @classmethod
    def of(cls, places: Ints) -> Figures:
        """The figures of queries whose right service is in these places, from 1 on."""
        mrr = np.where(places <= 10, 1 / places, 0).mean()
        return cls(float((places <= 1).mean()), float((places <= 5).mean()), float(mrr), len(places))


@dataclass(frozen=True)
class Asked:
    """Labelled queries, and what does not change with the weights.

    Attributes:
        labelled: n queries, each with the id of an open service.
        cosines: [n, S], of each service's nearest phrase.
        service_of_row: [P], of the generation.
        right: [n], the service that should be found.
    """

    labelled: Sequence[Labelled]
    cosines: Floats
    service_of_row: Ints
    right: Ints

    @classmethod
    def of(cls, labelled: Sequence[Labelled], embeddings: Floats, generation: Generation) -> Asked:
        """The queries of `labelled` with an open service; `embeddings` are unit vectors of all of them."""
        services = {id: place for place, id in enumerate(generation.ids_padded[:-1].tolist())}
        kept = [place for place, query in enumerate(labelled) if query.id in services]
        firsts = np.flatnonzero(generation.is_name)
        parts = [embeddings[kept[at : at + BATCH]] @ generation.matrix.T for at in range(0, len(kept), BATCH)]
        cosines = [np.maximum.reduceat(part, firsts, axis=1) for part in parts]
        found = [labelled[place] for place in kept]
        right = np.array([services[query.id] for query in found if query.id is not None], dtype=np.int64)
        return cls(
            found,
            np.concatenate(cosines) if cosines else embeddings[:0],
            generation.service_of_row.astype(np.int64),
            right,
        )

    def half(self, held_out: bool) -> Asked:
        """The queries that figures are reported on, or those that weights may be tuned on."""
        kept = np.array([query.held_out == held_out for query in self.labelled], dtype=bool)
        labelled = [query for query in self.labelled if query.held_out == held_out]
        return Asked(labelled, self.cosines[kept], self.service_of_row, self.right[kept])

    def figures(self, lexical: LexicalIndex | None) -> dict[str, Figures]:
        """The figures by kind of query; None ranks by the cosine alone."""
        places: dict[str, list[int]] = defaultdict(list)
        for at in range(0, len(self.labelled), BATCH):
            part = slice(at, at + BATCH)
            scores = np.zeros_like(self.cosines[part])
            queries = self.labelled[part]
            if lexical:
                matches = lexical.all_matches([query.query for query in queries])
                for row, found in zip(scores, matches, strict=True):
                    np.maximum.at(row, self.service_of_row[found.rows], found.scores)
            for query, place in zip(queries, _places(fused(self.cosines[part], scores), self.right[part]), strict=True):
                places[query.kind].append(place)
        return {kind: Figures.of(np.array(found)) for kind, found in places.items()}


def sample(labelled: Sequence[Labelled], services: Sequence[Service], seed: int) -> list[Labelled]:
    """Labelled queries, and these and services' names half typed and with slips; at most MOST of each kind and half."""
    draw = random.Random(seed)
    by_kind: dict[tuple[str, bool], list[Labelled]] = defaultdict(list)
    for query in with_noise(labelled, services):
        if query.id is not None and query.kind != OUT_OF_SCOPE:
            by_kind[query.kind, query.held_out].append(query)
    return [query for found in by_kind.values() for query in draw.sample(found, min(MOST, len(found)))]


def search(asked: Asked, lexical: LexicalIndex, steps: int, seed: int, advance: Advance) -> Weights:
    """The best weights of a random walk that begins with those of `lexical`; the same seed gives the same.

    Best is the highest mean over the kinds of recall@5 + MRR@10, less LOSS times what kinds without slips lose of the
    recall@5 that they have by the cosine alone.
    """
    draw = random.Random(seed)
    bare = asked.figures(None)

    def value(weights: Weights) -> float:
        figures = asked.figures(lexical.with_weights(weights))
        gained = np.mean([found.recall_5 + found.mrr for found in figures.values()])
        clean = [kind for kind in figures if kind not in KINDS]
        return float(gained - LOSS * sum(max(0.0, bare[kind].recall_5 - figures[kind].recall_5) for kind in clean))

    best = lexical.weights
    if not asked.labelled:
        return best
    highest = value(best) if steps else 0.0
    for step in range(steps):
        weights = _changed(best, draw)
        if (reached := value(weights)) > highest:
            best, highest = weights, reached
        advance(step + 1, steps)
    return best


def _changed(weights: Weights, draw: random.Random) -> Weights:
    values = asdict(weights)
    for name in draw.sample([field.name for field in fields(Weights)], draw.randint(1, 4)):
        values[name] = round(min(max(values[name] + draw.gauss(0, STEP), 0.0), HIGHEST), 3)
    return Weights(**values)


def _places(scores: Floats, right: Ints) -> list[int]:
    """The place of the right service of each row, from 1 on; of equal scores the lower id comes first."""
    reached = scores[np.arange(len(right)), right][:, None]
    before = (scores > reached).sum(axis=1)
    earlier = np.arange(scores.shape[1])[None, :] < right[:, None]
    places: list[int] = (1 + before + ((scores == reached) & earlier).sum(axis=1)).tolist()
    return places
