"""The search that invented people use: the sample catalog, ranked as the scorer's model ranks it, in this process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from malgil_core.catalog.reading import NullTopic, Service
from malgil_core.lexical.index import LexicalMatches
from malgil_core.ranking.cpu import CpuScorer
from malgil_core.ranking.topk import unit
from malgil_core.ranking.types import NO_LAYERS, Floats, Layers, QueryOptions

from benchmarks.loop.clicks import SHOWN
from training.evaluation.corpus import Corpus, Entry

BATCH = 64
Embed = Callable[[Sequence[str]], Floats]


@dataclass(frozen=True)
class Shown:
    """The hits of one search, best first.

    Attributes:
        ids: of the services.
        rows: of the phrases that matched, in the index.
        scores: of the hits.
    """

    ids: list[int]
    rows: list[int]
    scores: list[float]

    def reordered(self, places: Sequence[int]) -> Shown:
        """The same hits in this order."""
        ids, rows, scores = self.ids, self.rows, self.scores
        return Shown([ids[at] for at in places], [rows[at] for at in places], [scores[at] for at in places])


class World:
    """The catalog as an index, and queries whose vectors and lexical matches are kept.

    Args:
        services: what can be found.
        null_topics: what the app does not do; none switches null phrases off.
        as_phrase: embeds phrases.
        as_query: embeds queries.
    """

    def __init__(
        self, services: Sequence[Service], null_topics: Sequence[NullTopic], as_phrase: Embed, as_query: Embed
    ) -> None:
        self.corpus = Corpus(Entry.of(services), as_phrase, null_topics)
        self.services = list(services)
        self._scorer = CpuScorer(self.corpus.index)
        self._as_query = as_query
        self._vectors: dict[str, Floats] = {}
        self._matches: dict[str, LexicalMatches] = {}
        self._plain: dict[str, Shown] = {}  # what is shown without a layer

    @property
    def dimension(self) -> int:
        """The width of the encoder."""
        return int(self.corpus.matrix.shape[1])

    def know(self, queries: Sequence[str]) -> None:
        """Embed queries at once that will be asked; others are embedded when they are asked first."""
        new = [query for query in dict.fromkeys(queries) if query not in self._vectors]
        if new:
            self._vectors.update(zip(new, unit(self._as_query(new)), strict=True))
            self._matches.update(zip(new, self.corpus.lexical.all_matches(new), strict=True))

    def vector(self, query: str) -> Floats:
        """A query's embedding, [D]."""
        self.know([query])
        return self._vectors[query]

    def phrases(self, shown: Shown) -> Floats:
        """The embeddings of the phrases that matched, [hits, D]: what `embed` gives a device for shown hits."""
        found: Floats = self.corpus.matrix[shown.rows]
        return found

    def rank(self, queries: Sequence[str], layers: Floats | None = None) -> list[Shown]:
        """The SHOWN best services of each query.

        Args:
            queries: texts.
            layers: [queries, 2·D], the personal layer of each; None for none.
        """
        self.know(queries)
        if layers is not None:
            return self._rank(queries, layers)
        if new := [query for query in dict.fromkeys(queries) if query not in self._plain]:
            self._plain.update(zip(new, self._rank(new, None), strict=True))
        return [self._plain[query] for query in queries]

    def _rank(self, queries: Sequence[str], layers: Floats | None) -> list[Shown]:
        found: list[Shown] = []
        for at in range(0, len(queries), BATCH):
            part = queries[at : at + BATCH]
            vectors = np.stack([self._vectors[query] for query in part])
            carried = NO_LAYERS if layers is None else _carried(layers[at : at + BATCH])
            matches = [self._matches[query] for query in part]
            ranked = self._scorer.rank(vectors, [QueryOptions(SHOWN)] * len(part), matches, carried)
            ids = self.corpus.ids_padded
            found += [Shown(ids[one.services].tolist(), one.rows.tolist(), one.scores.tolist()) for one in ranked]
        return found


def _carried(layers: Floats) -> Layers:
    """The layers of a batch; those of zeros alone are none, as the server takes them."""
    rows = layers.any(axis=1).nonzero()[0]
    return Layers(rows, layers[rows])
