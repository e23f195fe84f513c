"""Services in memory, ranked by BM25, by the cosine alone, or by Malgil's score."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import bm25s
import numpy as np
from malgil_core.catalog.reading import NullTopic, Service
from malgil_core.index.generation import Generation, NullPhrases
from malgil_core.lexical.index import LexicalIndex
from malgil_core.ranking.cpu import CpuScorer
from malgil_core.ranking.margin import NullSettings
from malgil_core.ranking.topk import unit
from malgil_core.ranking.types import Floats, QueryOptions, Ranked

from export.catalog.settings import Choices
from training.mining import bigrams

DEPTH = 10  # hits looked at
Ranks = list[list[int]]  # for each query, service ids, best first
Embed = Callable[[Sequence[str]], Floats]


@dataclass(frozen=True)
class Entry:
    """A service to be found: its name first among its texts; the threshold is that of the catalog."""

    id: int
    texts: Sequence[str]
    threshold: float | None = None

    @classmethod
    def of(cls, services: Iterable[Service], choices: Choices | None = None) -> list[Entry]:
        """The open services of a catalog, without thresholds unless there are choices of a publish."""
        return [Entry(one.id, one.texts, one.threshold if choices else None) for one in services if one.open]

    def as_line(self) -> dict[str, Any]:
        """The fields of a catalog that a generation reads."""
        name, *phrases = self.texts
        fields = {"id": self.id, "name": name, "path": "", "phrases": phrases, "surfaces": []}
        return {**fields, "threshold": self.threshold}


def _with_null(generation: Generation, embed: Embed, topics: Sequence[NullTopic], settings: NullSettings) -> Generation:
    """A generation with null phrases, and the limits that a publish chooses."""
    matrix = unit(embed([phrase for topic in topics for phrase in topic.phrases]))
    topic_of_row = np.repeat(np.arange(len(topics), dtype=np.int32), [len(topic.phrases) for topic in topics])
    lines = [topic.as_dict() for topic in topics]
    none = NullPhrases.of(lines, matrix, topic_of_row, {"margin": 0.0, "floor": None})
    limits = settings.limits(replace(generation, null=none))
    return replace(generation, null=NullPhrases.of(lines, matrix, topic_of_row, limits))


class Corpus:
    """Services in memory, as the scorer's generation has them.

    Args:
        entries: what can be found.
        embed: texts → float32 [texts, D].
        null_topics: what the app does not do; their limits are those that a publish chooses.
        choices: of the publish, by a settings file; None for the defaults.
    """

    def __init__(
        self,
        entries: Iterable[Entry],
        embed: Embed,
        null_topics: Sequence[NullTopic] = (),
        choices: Choices | None = None,
    ) -> None:
        made = choices or Choices()
        kept = list(entries)
        self.texts = [text for entry in kept for text in entry.texts]
        self.matrix = unit(embed(self.texts))
        self.service_of_row = np.repeat(np.arange(len(kept), dtype=np.int32), [len(entry.texts) for entry in kept])
        self.ids_padded = np.array([entry.id for entry in kept] + [-1], dtype=np.int64)
        is_name = np.diff(self.service_of_row, prepend=-1) > 0
        self.lexical = LexicalIndex.of(self.texts, is_name, made.calibrated.weights)
        lines = [entry.as_line() for entry in kept]
        manifest = {"generation": 1, "default_threshold": made.default_threshold, **made.calibrated.as_manifest()}
        generation = Generation.of(manifest, lines, self.matrix, self.service_of_row)
        self.index = replace(generation, lexical=self.lexical)
        if null_topics:
            self.index = _with_null(self.index, embed, null_topics, made.null)
        self._published = CpuScorer(self.index)
        none = np.full_like(self.index.thresholds, -np.inf)
        self._ranking = CpuScorer(replace(self.index, thresholds=none)) if choices else self._published

    def dense(self, embeddings: Floats) -> list[Ranked]:
        """Ranking by dense similarity alone."""
        return self._rank(embeddings, None, null=False)

    def malgil(self, embeddings: Floats, queries: Sequence[str], null: bool = False) -> list[Ranked]:
        """Ranking by Malgil's score, dense and lexical; with null phrases also with the thresholds of the choices."""
        return self._rank(embeddings, queries, null)

    def ids(self, ranked: Sequence[Ranked]) -> Ranks:
        """The services' ids in the catalog."""
        return [self.ids_padded[one.services].tolist() for one in ranked]

    def bm25(self, queries: Sequence[str]) -> Floats:
        """[queries, services], BM25 (k1 1.5, b 0.75) of each service's best text; 0 where no token is shared."""
        firsts = np.flatnonzero(np.diff(self.service_of_row, prepend=-1))
        best: Floats = np.maximum.reduceat(bm25(self.texts, queries), firsts, axis=1)
        return best

    def cosines(self, embeddings: Floats) -> Floats:
        """[queries, services], of each service's nearest text."""
        firsts = np.flatnonzero(np.diff(self.service_of_row, prepend=-1))
        best: Floats = np.maximum.reduceat(unit(embeddings) @ self.matrix.T, firsts, axis=1)
        return best

    def by_score(self, scores: Floats, threshold: float = -np.inf) -> Ranks:
        """Services in the order of a row of scores, only those above the threshold."""
        ids = self.ids_padded[:-1]
        orders = (np.lexsort((ids, -row))[:DEPTH] for row in scores)
        return [
            ids[[i for i in order if row[i] > threshold]].tolist() for row, order in zip(scores, orders, strict=True)
        ]

    def _rank(self, embeddings: Floats, queries: Sequence[str] | None, null: bool) -> list[Ranked]:
        found: list[Ranked] = []
        for at in range(0, len(embeddings), 64):
            batch = unit(embeddings[at : at + 64])
            matches = self.lexical.all_matches(queries[at : at + 64]) if queries else []
            scorer = self._published if null else self._ranking
            found += scorer.rank(batch, [QueryOptions(DEPTH, null=null)] * len(batch), matches)
        return found


def bm25(texts: Sequence[str], queries: Sequence[str]) -> Floats:
    """[queries, texts], BM25 over character bigrams (k1 1.5, b 0.75); 0 where none is shared."""
    index = bm25s.BM25(k1=1.5, b=0.75)
    index.index([bigrams(text) for text in texts], show_progress=False)
    scores = np.zeros((len(queries), len(texts)), dtype=np.float32)
    for row, query in zip(scores, queries, strict=True):
        if known := [token for token in bigrams(query) if token in index.vocab_dict]:
            row[:] = index.get_scores(known)
    return scores


def as_array(vectors: Any) -> Floats:
    """Vectors as float32 [N, D]."""
    return np.asarray(vectors, dtype=np.float32)
