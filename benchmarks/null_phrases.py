"""Null phrases: how many queries that should find nothing are left empty, and the time that it takes."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from malgil_core.ranking.cpu import CpuScorer, product_threads
from malgil_core.ranking.request import SearchRequest
from malgil_core.ranking.topk import unit
from malgil_core.ranking.types import Floats, QueryOptions
from malgil_core.serving.batch import answer
from malgil_core.serving.follower import Serving
from malgil_core.serving.metrics import Metrics
from threadpoolctl import threadpool_limits

from training.evaluation.corpus import Corpus

BATCHES = (1, 64)
ROUNDS = {1: 600, 64: 60}
Queries = Sequence[tuple[str, Any]]  # each with its embedding [D]


@dataclass(frozen=True)
class Empty:
    """Queries of one kind that should find nothing.

    Attributes:
        queries: how many.
        by_null: the share that is left empty by a null phrase.
        by_floor: the share that is left empty by the floor.
        by_threshold: the share that is left empty by thresholds of a settings file.
        answered: each of the others in words: the query, the nearest null topic, and the service that is found.
    """

    queries: int
    by_null: float
    by_floor: float
    by_threshold: float
    answered: list[str]

    @property
    def share(self) -> float:
        """The share that is left empty."""
        return self.by_null + self.by_floor + self.by_threshold


@dataclass(frozen=True)
class Cost:
    """The CPU time of lexical match and ranking for one batch, in milliseconds: medians.

    Attributes:
        batch: its size.
        without: milliseconds with null phrases switched off by the request.
        ratio: the time with null phrases over that, in turns.
    """

    batch: int
    without: float
    ratio: float


@dataclass(frozen=True)
class NullReport:
    """What null phrases do, and what they cost."""

    limits: str
    empty: dict[str, Empty]
    costs: list[Cost]


def measure(corpus: Corpus, outside: Mapping[str, Queries], queries: Sequence[str], embeddings: Floats) -> NullReport:
    """What null phrases do to queries that should find nothing, and what they cost.

    Args:
        corpus: services and null phrases.
        outside: the queries that should find nothing, by kind.
        queries: of all kinds; the time is that of batches drawn from them.
        embeddings: of these, [queries, D].
    """
    null = corpus.index.null
    assert null
    limits = f"margin {null.margin:.4f}, floor {null.floor:.4f}"
    empty = {kind: left_empty(corpus, asked) for kind, asked in outside.items() if asked}
    return NullReport(limits, empty, costs(corpus, queries, embeddings))


def left_empty(corpus: Corpus, asked: Queries) -> Empty:
    """How many of these queries are left empty, and what the others find."""
    null = corpus.index.null
    assert null
    queries, vectors = [query for query, _ in asked], np.stack([vector for _, vector in asked])
    found = corpus.malgil(vectors, queries, null=True)
    answered = []
    for query, ranked in zip(queries, found, strict=True):
        if len(ranked.services):
            service = corpus.index.names_padded[ranked.services[0]].decode()
            near = ranked.null and null.topics[null.topic_of_row[ranked.null.row]].decode()
            answered.append(f"{query}: {service} ({near or 'begins a word of a service'})")
    by = [(ranked.null and ranked.null.refused_by) or ("" if len(ranked.services) else "threshold") for ranked in found]
    null_share, floor, threshold = (by.count(reason) / len(by) for reason in ("null", "floor", "threshold"))
    return Empty(len(queries), null_share, floor, threshold, answered)


def costs(corpus: Corpus, queries: Sequence[str], embeddings: Floats) -> list[Cost]:
    """The time of `serving.batch.answer` with null phrases over that without, in turns in this process."""
    serving = Serving(corpus.index, CpuScorer(corpus.index))
    metrics, vectors = Metrics(NoFamily), unit(embeddings)
    rng = np.random.default_rng(0)
    found = []
    with threadpool_limits(product_threads(corpus.index), user_api="blas"):  # as the scorer's model does
        for batch in BATCHES:
            times: dict[bool, list[float]] = {True: [], False: []}
            for turn in range(ROUNDS[batch]):
                rows = rng.choice(len(queries), batch)
                asked = SearchRequest(
                    [queries[row] for row in rows], vectors[rows], [QueryOptions()] * batch, [None] * batch
                )
                for on in (True, False) if turn % 2 else (False, True):
                    request = replace(asked, options=[QueryOptions(null=on)] * batch)
                    started = time.process_time()
                    answer(serving, [request], metrics)
                    times[on].append(time.process_time() - started)
            ratio = statistics.median(a / b for a, b in zip(times[True], times[False], strict=True))
            found.append(Cost(batch, 1000 * statistics.median(times[False]), ratio))
    return found


class NoFamily:
    """What Triton's metrics are to `Metrics`, without a server: sums are kept, and never sent."""

    GAUGE = COUNTER = None

    def __init__(self, **description: Any) -> None:
        pass

    def Metric(self, labels: Mapping[str, str]) -> None:  # noqa: N802, Triton's name
        """No metric."""
        return
