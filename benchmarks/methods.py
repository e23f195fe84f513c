"""Ways to rank services for a query: BM25, the meaning alone, a linear mix of both, and Malgil's own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import bm25s
import numpy as np
import numpy.typing as npt
from malgil_core.lexical.index import LexicalIndex
from malgil_core.ranking.cpu import CpuScorer
from malgil_core.ranking.topk import unit
from malgil_core.ranking.types import Floats, QueryOptions, Ranked

DEPTH = 10  # hits looked at
LAMBDAS = (0.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)  # of the linear mix: BM25 + lambda · cosine
Ranks = list[list[int]]  # for each query, service ids, best first
Embed = Callable[[Sequence[str]], Floats]


@dataclass(frozen=True)
class Entry:
    """A service to be found: its name first among its texts."""

    id: int
    texts: Sequence[str]
    threshold: float | None = None


class Corpus:
    """Services in memory, as the scorer's generation has them (see scoring.Index).

    Args:
        entries: what can be found.
        embed: texts → float32 [texts, D].
    """

    def __init__(self, entries: Iterable[Entry], embed: Embed) -> None:
        kept = list(entries)
        self.texts = [text for entry in kept for text in entry.texts]
        self.matrix = unit(embed(self.texts))
        self.service_of_row = np.repeat(np.arange(len(kept), dtype=np.int32), [len(entry.texts) for entry in kept])
        self.ids_padded = np.array([entry.id for entry in kept] + [-1], dtype=np.int64)
        thresholds = [-np.inf if entry.threshold is None else entry.threshold for entry in kept]
        self.thresholds: Floats = np.array(thresholds, dtype=np.float32)
        self.surfaces: dict[str, npt.NDArray[np.bool_]] = {}
        self.lexical = LexicalIndex.of(self.texts, np.diff(self.service_of_row, prepend=-1) > 0)
        self._scorer = CpuScorer(self)

    def dense(self, embeddings: Floats) -> list[Ranked]:
        """By the meaning alone."""
        return self._rank(embeddings, None)

    def malgil(self, embeddings: Floats, queries: Sequence[str]) -> list[Ranked]:
        """By Malgil's one score."""
        return self._rank(embeddings, queries)

    def ids(self, ranked: Sequence[Ranked]) -> Ranks:
        """The services' ids in the catalogue."""
        return [self.ids_padded[one.services].tolist() for one in ranked]

    def bm25(self, queries: Sequence[str]) -> Floats:
        """[queries, services], BM25 (k1 1.5, b 0.75) of each service's best text; 0 where no token is shared."""
        index = bm25s.BM25(k1=1.5, b=0.75)
        index.index([bigrams(text) for text in self.texts], show_progress=False)
        firsts = np.flatnonzero(np.diff(self.service_of_row, prepend=-1))
        scores = np.zeros((len(queries), len(firsts)), dtype=np.float32)
        for row, query in zip(scores, queries, strict=True):
            if known := [token for token in bigrams(query) if token in index.vocab_dict]:
                row[:] = np.maximum.reduceat(index.get_scores(known), firsts)
        return scores

    def cosines(self, embeddings: Floats) -> Floats:
        """[queries, services], of each service's nearest text."""
        firsts = np.flatnonzero(np.diff(self.service_of_row, prepend=-1))
        best: Floats = np.maximum.reduceat(unit(embeddings) @ self.matrix.T, firsts, axis=1)
        return best

    def by_score(self, scores: Floats, least: float = -np.inf) -> Ranks:
        """Services in the order of a row of scores, those above `least` alone."""
        ids = self.ids_padded[:-1]
        orders = (np.lexsort((ids, -row))[:DEPTH] for row in scores)
        return [ids[[i for i in order if row[i] > least]].tolist() for row, order in zip(scores, orders, strict=True)]

    def _rank(self, embeddings: Floats, queries: Sequence[str] | None) -> list[Ranked]:
        found: list[Ranked] = []
        for at in range(0, len(embeddings), 64):
            own = unit(embeddings[at : at + 64])
            evidence = [self.lexical.matches(query) for query in queries[at : at + 64]] if queries else []
            found += self._scorer.rank(own, [QueryOptions(DEPTH)] * len(own), evidence)
        return found


def bigrams(text: str) -> list[str]:
    """Character bigrams within words, as Elasticsearch's CJK analyzer takes them; a lone character is a unit."""
    return [word[i : i + 2] for word in text.lower().split() for i in range(max(len(word) - 1, 1))]


def ranks(corpus: Corpus, queries: Sequence[str], embeddings: Floats, mix: float) -> dict[str, Ranks]:
    """Each method's ranking; `mix` is the linear one's lambda: BM25 + lambda · cosine (Karpukhin et al. 2020)."""
    words = corpus.bm25(queries)
    return {
        "bm25": corpus.by_score(words, least=0.0),
        "dense": corpus.ids(corpus.dense(embeddings)),
        "linear": corpus.by_score(words + mix * corpus.cosines(embeddings)),
        "malgil": corpus.ids(corpus.malgil(embeddings, queries)),
    }


def best_mix(corpus: Corpus, queries: Sequence[str], embeddings: Floats, judge: Callable[[Ranks], float]) -> float:
    """The lambda of LAMBDAS that `judge` likes best."""
    words, cosines = corpus.bm25(queries), corpus.cosines(embeddings)
    return max(LAMBDAS, key=lambda mix: judge(corpus.by_score(words + mix * cosines)))


def as_array(vectors: Any) -> Floats:
    """float32 [N, D]."""
    return np.asarray(vectors, dtype=np.float32)
