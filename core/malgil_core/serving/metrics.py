"""Metrics of the scorer, for Triton's metrics endpoint."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from itertools import accumulate
from typing import Any

import numpy as np

from malgil_core.index.generation import Generation
from malgil_core.ranking.types import Ranked
from malgil_core.serving.counters import Counters, Key

EDGES = (0.80, 0.84, 0.86, 0.88, 0.90, 0.92, 0.94, 0.96, 0.98, 1.0)
_EDGES = [float(np.float32(edge)) for edge in EDGES]  # scores are float32, and one of 0.9 is at most 0.9

GAUGES = {
    "generation": "Number of the generation that serves, 0 before the first",
    "services": "Open services of the generation that serves",
    "phrases": "Phrases of the generation that serves, names included",
    "index_age_seconds": "Seconds since the generation that serves was published, NaN if there is none",
}
COUNTERS = {
    "publishes_refused_total": "Generations that were refused, each once",
    "queries_total": "Queries answered, each row of a client batch for itself",
    "hits_total": "Hits in the answers",
    "empty_answers_total": "Answers without a hit",
    "out_of_scope_total": "Answers that are empty because the query was out of scope",
    "errors_total": "Requests refused",
    "scoring_seconds_total": "Time spent ranking",
    "lexical_seconds_total": "Time spent on lexical matching",
    # A histogram of Triton's own takes a call for each query.
    "top_score_bucket": "Answers whose first hit scores at most le",
    "top_score_sum": "Sum of the first hits' scores",
    "top_score_count": "Answers with a hit",
}
LABELS = {  # metric → label, its values
    "errors_total": ("kind", ("invalid_argument", "no_catalog")),
    "out_of_scope_total": ("by", ("null", "floor")),
    "top_score_bucket": ("le", (*(f"{edge:g}" for edge in EDGES), "+Inf")),
}


class Metrics(Counters):
    """The metrics of one scorer.

    Args:
        make_family: pb_utils.MetricFamily.
        labels: on every metric; no other instance may have the same.
        clock: seconds since 1970.
    """

    def __init__(
        self, make_family: Any, labels: Mapping[str, str] | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        super().__init__(make_family, COUNTERS, LABELS, labels)
        self._clock = clock
        self._gauges = dict.fromkeys(GAUGES, 0.0)
        self._published = float("nan")
        self._make(make_family.GAUGE, GAUGES)

    def show_generation(self, generation: Generation) -> None:
        """Show the generation that serves from now on."""
        with self._lock:
            self._gauges["generation"] = generation.number
            self._gauges["services"] = len(generation.thresholds)
            self._gauges["phrases"] = len(generation.matrix)
            self._published = _seconds(generation.created)

    def count_refused_publish(self) -> None:
        """Count a refused generation."""
        self.add({("publishes_refused_total", ""): 1})

    def count_errors(self, kind: str, count: int = 1) -> None:
        """Count refused requests; `kind` is invalid_argument or no_catalog."""
        self.add({("errors_total", kind): count})

    def count_batch(self, ranked: Sequence[Ranked], lexical_seconds: float, scoring_seconds: float) -> None:
        """Count a ranked batch, and the time that it took."""
        tops = [float(hits.scores[0]) for hits in ranked if len(hits.scores)]
        buckets = [0] * (len(_EDGES) + 1)
        for top in tops:
            buckets[bisect_left(_EDGES, top)] += 1
        sums: dict[Key, float] = {
            ("queries_total", ""): len(ranked),
            ("hits_total", ""): sum(len(hits.scores) for hits in ranked),
            ("empty_answers_total", ""): len(ranked) - len(tops),
            ("lexical_seconds_total", ""): lexical_seconds,
            ("scoring_seconds_total", ""): scoring_seconds,
            ("top_score_sum", ""): sum(tops),
            ("top_score_count", ""): len(tops),
        }
        for le, count in zip(LABELS["top_score_bucket"][1], accumulate(buckets), strict=True):
            sums["top_score_bucket", le] = count
        refused = Counter(hits.null.refused_by for hits in ranked if hits.null)
        sums |= {("out_of_scope_total", by): refused[by] for by in LABELS["out_of_scope_total"][1]}
        self.add(sums)

    def send(self) -> None:
        """Bring the endpoint up to date; a sum that fails to go out goes with the next. For one thread alone."""
        super().send()
        with self._lock:
            gauges = {**self._gauges, "index_age_seconds": self._clock() - self._published}
        for name, value in gauges.items():
            self._metrics[name, ""].set(value)


def _seconds(created: str) -> float:
    """Seconds since 1970, NaN where a manifest does not say."""
    try:
        return datetime.fromisoformat(created).timestamp()
    except (ValueError, OverflowError):
        return float("nan")
