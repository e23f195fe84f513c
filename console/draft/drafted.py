"""One catalog built in memory, ranked by the code that a server ranks with, and explained."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import count
from threading import Lock

import numpy as np
import numpy.typing as npt
from malgil_core.catalog.reading import Catalog, Service
from malgil_core.index.building import Built, Rows, Vectors
from malgil_core.index.generation import Generation
from malgil_core.lexical.arrays import PhraseArrays
from malgil_core.lexical.index import LexicalMatches
from malgil_core.ranking.cpu import CpuScorer
from malgil_core.ranking.types import Floats, QueryOptions, Ranked
from malgil_core.text.keystrokes import words

from console.draft.types import Answer, Hit, Missing, Neighbour, NullAnswer

_NUMBERS = count(1)  # one for each draft of this process
SAMPLE = 400  # phrases whose nearest ones tell how near phrases of different services are
# A phrase is nearly another service's from the median of these cosines + 1.9 times their spread (the interquartile
# range / 1.349, a normal distribution's standard deviation). On catalogs/finance.jsonl and the bundled encoder that is
# 0.955: of its 720 phrases 9 have such a neighbour, and of 150 phrases reworded by hand ("… 어디서 해", "앱에서 …",
# "좀 …", words in another order) 93 to 99 % are as near as that to the phrase that they were made of. A bound that
# follows the catalog's own cosines holds for other encoders too, and quartiles are not moved by the twins themselves.
SPREADS = 1.9


class Drafted:
    """A draft's generation, and what explains its answers.

    Args:
        catalog: what was built.
        built: its generation.
        revision: of the store.
    """

    def __init__(self, catalog: Catalog, built: Built, revision: int) -> None:
        self.catalog, self.built, self.revision = catalog, built, revision
        self.generation = built.generation()
        self.number = next(_NUMBERS)
        self._scorer = CpuScorer(self.generation)
        self._everything = CpuScorer(_unrestricted(self.generation))
        self._closed = _closed(built)
        self._closed_scorer = CpuScorer(self._closed) if self._closed else None
        self._service_of_row = built.rows.service_of_row
        self._lock = Lock()  # a scorer keeps the product of its last batch
        self.near = _near(built.vectors[: len(self._service_of_row)], self._service_of_row)

        texts = built.rows.texts
        self.row_of = {text: row for row, text in reversed(list(enumerate(texts)))}
        self._rows_of: dict[str, list[int]] = {}
        for row, text in enumerate(texts):
            self._rows_of.setdefault(folded(text), []).append(row)

    def vector_of(self, text: str) -> Vectors | None:
        """The vector of a text of the catalog; None if it has no such text."""
        row = self.row_of.get(text)
        return None if row is None else self.built.vectors[row]

    def services_with(self, text: str) -> list[Service]:
        """The services that have this text as name or phrase, but for blanks, case and punctuation."""
        rows = [row for row in self._rows_of.get(folded(text), ()) if row < len(self._service_of_row)]
        return [self.built.rows.services[at] for at in dict.fromkeys(self._service_of_row[rows].tolist())]

    def null_topic_of(self, text: str) -> str | None:
        """The null topic that has this very text as a phrase; None if none has."""
        texts = self.built.rows.of_null_topics
        for row in self._rows_of.get(folded(text), ()):
            place = row - len(self._service_of_row)
            if place >= 0 and texts[place] == text:
                return self.built.rows.null_topics[int(self.built.rows.topic_of_row[place])].name
        return None

    def rank(self, queries: Sequence[str], embeddings: Vectors, options: Sequence[QueryOptions]) -> list[Ranked]:
        """Rank as a server does; `embeddings` are unit vectors [queries, D]."""
        with self._lock:
            return self._scorer.rank(embeddings, options, self._matches(self.generation, queries))

    def unrestricted(self, queries: Sequence[str], embeddings: Vectors, top_k: int) -> list[list[Hit]]:
        """The services that score highest, without thresholds, surfaces and null phrases."""
        options = [QueryOptions(top_k, null=False)] * len(queries)
        with self._lock:
            ranked = self._everything.rank(embeddings, options, self._matches(self.generation, queries))
        return [hits_of(self.generation, one) for one in ranked]

    def answer(self, query: str, embedding: Vectors, options: QueryOptions) -> Answer:
        """The answer to one query, explained; `embedding` is a unit vector [1, D]."""
        generation = self.generation
        matches = self._matches(generation, [query])
        with self._lock:
            ranked = self._scorer.rank(embedding, [options], matches)[0]
            everything = QueryOptions(options.top_k, null=False)
            unrestricted = self._everything.rank(embedding, [everything], matches)[0]
        hits = hits_of(generation, ranked)
        null = self._null(ranked)
        refused_by = null.refused_by if null else ""
        shown = {hit.id for hit in hits}
        missing = [
            Missing(**vars(hit), reason=self._reason(service, hit, options, refused_by))
            for service, hit in zip(unrestricted.services.tolist(), hits_of(generation, unrestricted), strict=True)
            if hit.id not in shown
        ]
        full = len(unrestricted.services) == options.top_k
        lowest = float(unrestricted.scores[-1]) if full else -1.0
        missing += self._closed_hits(query, embedding, options, lowest)
        missing.sort(key=lambda hit: (-hit.score, hit.id))
        return Answer(hits, [hit for hit in missing if hit.reason], null, self.revision)

    def nearest(self, vectors: Vectors, service_id: int | None) -> list[Neighbour | None]:
        """For each vector the nearest phrase of another service; None where there is no other service."""
        rows, services = self.built.rows, self.built.rows.services
        own = np.array([service.id == service_id for service in services], bool)[self._service_of_row]
        if own.all():
            return [None] * len(vectors)
        cosines = vectors @ self.built.vectors[: len(own)].T
        cosines[:, own] = -2
        found: list[Neighbour | None] = []
        for line, row in zip(cosines, np.argmax(cosines, axis=1).tolist(), strict=True):
            one = services[int(self._service_of_row[row])]
            found.append(Neighbour(one.id, one.name, one.path, rows.of_services[row], float(line[row]), one.open))
        return found

    def _reason(self, service: int, hit: Hit, options: QueryOptions, refused_by: str) -> str:
        """Why a service with such a score is no hit; empty if others come first."""
        if refused_by:
            return refused_by
        if options.surface is not None and not self.generation.surfaces[options.surface][service]:
            return "surface"
        return "threshold" if hit.threshold is not None and hit.score < np.float32(hit.threshold) else ""

    def _closed_hits(self, query: str, embedding: Vectors, options: QueryOptions, lowest: float) -> list[Missing]:
        if self._closed is None or self._closed_scorer is None:
            return []
        with self._lock:
            asked = [QueryOptions(options.top_k, min_score=lowest, null=False)]
            ranked = self._closed_scorer.rank(embedding, asked, self._matches(self._closed, [query]))[0]
        return [Missing(**vars(hit), reason="closed") for hit in hits_of(self._closed, ranked)]

    def _null(self, ranked: Ranked) -> NullAnswer | None:
        null, found = self.generation.null, ranked.null
        if null is None or found is None:
            return None
        topic = null.topics[null.topic_of_row[found.row]].decode()
        floor = None if np.isneginf(null.floor) else null.floor
        phrase = null.phrases[found.row].decode()
        return NullAnswer(topic, phrase, found.score, found.best, null.margin, floor, found.refused_by)

    @staticmethod
    def _matches(generation: Generation, queries: Sequence[str]) -> list[LexicalMatches]:
        assert generation.lexical
        return generation.lexical.all_matches(queries)


@lru_cache(2**16)  # a catalog is folded anew after each save
def folded(text: str) -> str:
    """The text without what a query's keystrokes do not tell apart: blanks, case, punctuation, forms of Unicode."""
    return "".join(words(text)) or unicodedata.normalize("NFC", text).strip()


def hits_of(generation: Generation, ranked: Ranked) -> list[Hit]:
    """The hits of one query."""
    return [
        Hit(
            int(generation.ids_padded[service]),
            generation.names_padded[service].decode(),
            generation.paths_padded[service].decode(),
            generation.phrases_padded[row].decode(),
            float(score),
            float(dense),
            float(lexical),
            None if np.isneginf(generation.thresholds[service]) else float(generation.thresholds[service]),
        )
        for service, row, score, dense, lexical in zip(
            ranked.services.tolist(), ranked.rows.tolist(), ranked.scores, ranked.dense, ranked.lexical, strict=True
        )
    ]


def _unrestricted(generation: Generation) -> Generation:
    """The same services without thresholds, surfaces and null phrases; shares the matrix."""
    return replace(generation, thresholds=np.full_like(generation.thresholds, -np.inf), surfaces={}, null=None)


def _closed(built: Built) -> Generation | None:
    """The closed services as if they were open ones of a catalog of their own; None if there are none."""
    closed = [replace(service, open=True) for service in built.rows.services if not service.open]
    if not closed:
        return None
    rows = Rows(closed)
    start, end = len(built.rows.of_open_services), len(built.rows.of_services)
    lexical = PhraseArrays.of(rows.of_open_services)
    return Built(rows, built.vectors[start:end], lexical, built.manifest).generation()


def _near(vectors: Floats, service_of_row: npt.NDArray[np.int32]) -> float:
    """The cosine from which a phrase is nearly another service's; above 1 where there is nothing to compare with."""
    if len(service_of_row) < 2 or service_of_row[0] == service_of_row[-1]:
        return 2.0
    rows = np.random.default_rng(0).permutation(len(vectors))[:SAMPLE]
    cosines = vectors[rows] @ vectors.T
    cosines[service_of_row[rows][:, np.newaxis] == service_of_row[np.newaxis]] = -1
    low, median, high = np.percentile(cosines.max(axis=1), [25, 50, 75])
    return float(median + SPREADS * (high - low) / 1.349)
