"""Searching: the best documents for a batch of queries, by dense similarity and BM25.

What a server needs that answers queries is here and in documents.engine, documents.collection and documents.schema:
pymilvus and malgil_core.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from malgil_core.documents import bm25
from malgil_core.documents.fusion import collapsed, full_score, fused
from malgil_core.documents.snippets import snippet
from malgil_core.documents.types import Document, DocumentOptions, check_top_k
from malgil_core.ranking.topk import unit
from malgil_core.ranking.types import Floats

from documents import collection, schema
from documents.collection import ALIAS, State
from documents.engine import Engine, EngineError, NotFoundError
from documents.schema import Stored

DEPTH = 50  # passages that dense similarity brings at least: milvus-lite takes a third of a millisecond for each
PHRASED_DEPTH = 10  # for each document asked for, where phrases lead to them: several to the same one
LEXICAL_SHARE = 0.4  # of these that BM25 brings beside them; more changed no figure
MAX_DEPTH = 200  # where those of a few documents leave no room for others
REFRESH_SECONDS = 1.0  # between two looks at the alias and the statistics
SECONDS = 5.0
Method = Literal["both", "dense", "bm25"]


@dataclass(frozen=True)
class _Seen:
    """The collection that the alias names, its state, and when that was looked up."""

    name: str
    state: State
    at: float


@dataclass
class _Found:
    """The candidates of one query, by passage."""

    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    dense: dict[str, float] = field(default_factory=dict)
    lexical: dict[str, float] = field(default_factory=dict)

    def is_crowded(self, top_k: int) -> bool:
        """Whether passages and phrases of a few documents left no room for `top_k` of them."""
        documents = {row["document_key"] for row in self.rows.values()}
        return len(documents) < top_k and len(self.dense) >= DEPTH


class Searcher:
    """Answers batches of queries from the collection that an alias names, and follows the alias and new statistics.

    Calls from several threads are safe. Where the engine takes no sparse vectors, BM25 re-ranks the dense candidates.

    Args:
        engine: where the collection is.
        encoder: fingerprint of the encoder that makes the queries' embeddings; None takes whatever the collection has.
        alias: of the collection.
    """

    def __init__(self, engine: Engine, encoder: str | None = None, alias: str = ALIAS) -> None:
        self._engine, self._encoder, self._alias = engine, encoder, alias
        self._seen = _Seen("", State("", 0, 0), float("-inf"))
        # milvus-lite is one Python process: two searches at once take turns in it, and a third more of the processors.
        self._pool = ThreadPoolExecutor(1 if engine.embedded else 4)
        self._is_lexical = engine.sparse  # whether sparse vectors are searched

    def search(
        self,
        queries: Sequence[str],
        embeddings: Floats,
        options: Sequence[DocumentOptions],
        timeout: float = SECONDS,
    ) -> list[list[Document]]:
        """The best documents of each query, best first.

        Args:
            queries: [B], as they were typed.
            embeddings: float32 [B, D], of the encoder that embedded the passages, as queries.
            options: [B].
            timeout: seconds for each call of the engine.

        Raises:
            EngineError: the engine is down, late, or has no documents of this encoder.
            ValueError: an embedding or a top_k is out of its bounds.
        """
        return self.compare(queries, embeddings, options, timeout, ("both",))["both"]

    def compare(
        self,
        queries: Sequence[str],
        embeddings: Floats,
        options: Sequence[DocumentOptions],
        timeout: float = SECONDS,
        methods: Sequence[Method] = ("bm25", "dense", "both"),
    ) -> dict[Method, list[list[Document]]]:
        """The same as `search`, by the fused score, and by dense similarity or BM25 alone."""
        for option in options:
            check_top_k(option.top_k)
        for attempt in (True, False):
            name, state = self._current(timeout)
            try:
                found, weights = self._candidates(name, state, queries, unit(embeddings), options, timeout)
                break
            except NotFoundError:  # dropped after a rebuild: the alias names another by now
                self._seen = replace(self._seen, at=float("-inf"))
                if not attempt:
                    raise
        asked = list(zip(found, queries, weights, options, strict=True))
        return {method: [_best(*parts, method) for parts in asked] for method in methods}

    def refresh(self, timeout: float = SECONDS) -> None:
        """Look at the alias and the statistics now, so that the next search need not.

        Raises:
            EngineError: the engine is down, late, or has no documents of this encoder.
        """
        name, state = collection.current(self._engine, self._alias, timeout), self._seen.state
        if name is None:
            raise EngineError(f"the engine has no documents {self._alias!r}: run `python -m documents ingest`")
        if name != self._seen.name or collection.newest(self._engine, name, timeout) != state.version:
            state = collection.read_state(self._engine, name, timeout)
            if self._encoder not in (None, state.encoder):
                raise EngineError(f"{name} holds the vectors of another encoder: run `python -m documents rebuild`")
        self._seen = _Seen(name, state, time.monotonic())

    def warm_up(self, timeout: float = SECONDS, lexical: bool = True) -> None:
        """Search once: an engine that has just started is slow at first. Raises as `refresh`.

        milvus-lite indexes the sparse vectors when they are first searched, which takes it 7 s with 20,000. Without
        `lexical`, BM25 re-ranks the dense candidates from now on, until `warm_up_lexical` has been called.
        """
        self._is_lexical = self._engine.sparse and lexical
        self.refresh(timeout)
        self.search(["준비"], np.ones((1, self._seen.state.dimension), np.float32), [DocumentOptions()], timeout)
        if self._is_lexical:
            self.warm_up_lexical(timeout)

    def warm_up_lexical(self, timeout: float) -> None:
        """Search the sparse vectors once, and from then on. Raises as `refresh`."""
        if self._engine.sparse:
            commonest = int(np.argmax(self._seen.state.statistics.doc_freq))
            asked: dict[str, Any] = {"data": [{commonest: 1.0}], "anns_field": "units", "limit": 1}
            self._engine.call("search", self._seen.name, **asked, timeout=timeout, **schema.BOUNDED)
            self._is_lexical = True

    def close(self) -> None:
        """Stop the threads; the engine stays connected."""
        self._pool.shutdown()

    def _current(self, timeout: float) -> tuple[str, State]:
        """The collection and its state, looked up again where nobody did within REFRESH_SECONDS."""
        if time.monotonic() - self._seen.at > REFRESH_SECONDS:
            self.refresh(timeout)
        return self._seen.name, self._seen.state

    def _candidates(
        self, name: str, state: State, queries: Sequence[str], embeddings: Floats, options: Sequence[DocumentOptions],
        timeout: float, depth: int = 0,
    ) -> tuple[list[_Found], list[bm25.Weights]]:  # fmt: skip
        """The candidates of each query, and its weights; `depth` passages each way, 0: as many as usual."""
        if embeddings.shape[1] != state.dimension:
            raise ValueError(f"embedding has {embeddings.shape[1]} numbers: {name} takes {state.dimension}")
        weights = [state.statistics.query_weights(query) for query in queries]
        found = [_Found() for _ in queries]
        groups: dict[tuple[str, int], list[int]] = {}  # the engine takes one expression and one limit for a batch
        for at, option in enumerate(options):
            usual = max(DEPTH, PHRASED_DEPTH * option.top_k) if state.phrases else DEPTH
            groups.setdefault((schema.expression(option.filter, state.surfaces), depth or usual), []).append(at)
        sparse = self._is_lexical
        calls = []
        for (where, limit), members in groups.items():
            shared = {
                "limit": limit, "filter": where, "output_fields": schema.FIELDS, "timeout": timeout, **schema.BOUNDED
            }  # fmt: skip
            data: list[Any] = [embeddings[at] for at in members]
            calls.append(("dense", members, {"data": data, "anns_field": "vector", **shared}))
            worded = [at for at in members if weights[at]]
            if sparse and worded:
                data = [weights[at] for at in worded]
                fewer = {**shared, "limit": math.ceil(LEXICAL_SHARE * limit)}
                calls.append(("lexical", worded, {"data": data, "anns_field": "units", **fewer}))
        answers = self._pool.map(lambda call: self._engine.call("search", name, **call[2]), calls)
        for (kind, members, _), answer in zip(calls, answers, strict=True):
            for at, hits in zip(members, answer, strict=True):
                for hit in hits:
                    passage, row = str(hit.id), hit["entity"]
                    found[at].rows[passage] = row
                    value = float(hit.distance)
                    scores = found[at].dense if kind == "dense" else found[at].lexical
                    scores[passage] = value if kind == "dense" else value / full_score(weights[at])
        if not sparse:
            for one, query in zip(found, weights, strict=True):
                _rerank(one, query, state.statistics.mean_length)
        crowded = [at for at, option in enumerate(options) if found[at].is_crowded(option.top_k)]
        if crowded and not depth:
            asked = [queries[at] for at in crowded], embeddings[crowded], [options[at] for at in crowded]
            for at, one in zip(crowded, self._candidates(name, state, *asked, timeout, MAX_DEPTH)[0], strict=True):
                found[at] = one
        return found, weights


def _rerank(found: _Found, query: bm25.Weights, mean_length: float) -> None:
    """Give each dense candidate its BM25 score."""
    full = full_score(query)
    for passage, row in found.rows.items():
        found.lexical[passage] = bm25.score(query, _passage_weights(row["stored"], mean_length)) / full


@lru_cache(2**14)
def _passage_weights(stored: str, mean_length: float) -> bm25.Weights:
    return bm25.passage_weights(schema.units_of(Stored.parse(stored)), mean_length)


def _best(found: _Found, query: str, weights: bm25.Weights, options: DocumentOptions, method: Method) -> list[Document]:
    """The best documents among one query's candidates, each by its best passage or phrase of the newest version.

    Shown is the best passage that was found; where only phrases were, the first of the document.
    """
    versions: dict[str, int] = {}
    for row in found.rows.values():
        versions[row["document_key"]] = max(row["version"], versions.get(row["document_key"], 0))
    documents_of = {
        one: row["document_key"] for one, row in found.rows.items() if row["version"] == versions[row["document_key"]]
    }
    phrases = {one for one in documents_of if found.rows[one]["phrase"]}
    scores: Mapping[str, float] = (
        fused(found.dense, found.lexical, phrases)
        if method == "both"
        else found.dense
        if method == "dense"
        else found.lexical
    )
    newest = {one: score for one, score in scores.items() if one in documents_of}
    shown: dict[str, str] = {}
    for one in sorted(newest.keys() - phrases, key=lambda one: (-newest[one], one)):
        shown.setdefault(documents_of[one], one)
    lowest = min(found.dense.values(), default=0.0)
    documents = []
    ranked = collapsed(newest, documents_of, phrases if method != "bm25" else ())
    for key, (score, passage) in list(ranked.items())[: options.top_k]:
        stored = Stored.parse(found.rows[shown.get(key, passage)]["stored"])
        part = snippet(stored.text, stored.ends, query, weights)
        documents.append(
            Document(
                stored.id, stored.title, stored.url, stored.category, stored.updated_at, stored.service_ids, part.text,
                stored.start + part.start, part.highlights, score, found.dense.get(passage, lowest),
                found.lexical.get(passage, 0.0),
            )
        )  # fmt: skip
    return documents
