"""What operators see of the scorer on Triton's metrics endpoint."""

from __future__ import annotations

import dataclasses
import gc
import math
import re
import time
import urllib.request
import weakref
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from malgil_core.index.reader import folder_of, load
from malgil_core.index.writer import point_at, publish
from malgil_core.ranking.cpu import CpuScorer
from malgil_core.ranking.types import NullMatch, Ranked
from malgil_core.serving.counters import SEND_SECONDS
from malgil_core.serving.follower import IndexFollower
from malgil_core.serving.metrics import GAUGES, Metrics
from tritonclient import grpc
from tritonclient.utils import InferenceServerException

from server.launcher import Server
from tests.index import CATALOG, ENCODER, OTHER_ENCODER, embed, generation
from tests.live import infer, texts

PATIENCE = 3.0
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)


class Endpoint:
    """Stands in for pb_utils.MetricFamily, and counts what would cross to the server."""

    GAUGE, COUNTER = "gauge", "counter"

    def __init__(self) -> None:
        self.values: dict[str, float] = {}
        self.calls: Counter[str] = Counter()
        self.fails = 0  # so many calls from now
        self.made: list[weakref.ref[Any]] = []

    def __call__(self, name: str, description: str, kind: str) -> Any:
        assert description
        return Family(self, name, kind)


class Family:
    def __init__(self, endpoint: Endpoint, name: str, kind: str) -> None:
        self.endpoint, self.name, self.kind = endpoint, name, kind

    def Metric(self, labels: dict[str, str]) -> Any:  # noqa: N802, Triton's name
        made = Metric(self, self.name + "".join(f"[{value}]" for value in labels.values()))
        assert made.name not in self.endpoint.values
        self.endpoint.values[made.name] = 0.0
        self.endpoint.made.append(weakref.ref(made))
        return made


class Metric:
    def __init__(self, family: Family, name: str) -> None:
        self.family, self.name = family, name

    def increment(self, by: float) -> None:
        assert self.family.kind == Endpoint.COUNTER
        assert by > 0  # Triton takes nothing less, and 0 would be a call for nothing
        self._crossed()
        self.family.endpoint.values[self.name] += by

    def set(self, value: float) -> None:
        assert self.family.kind == Endpoint.GAUGE
        self._crossed()
        self.family.endpoint.values[self.name] = value

    def _crossed(self) -> None:
        endpoint = self.family.endpoint
        endpoint.calls[self.name] += 1
        if endpoint.fails:
            endpoint.fails -= 1
            raise RuntimeError("shared memory is full")


@pytest.fixture
def endpoint() -> Endpoint:
    return Endpoint()


@pytest.fixture
def metrics(endpoint: Endpoint) -> Metrics:
    return Metrics(endpoint, clock=NOW.timestamp)


def ranked(*scores: float) -> Ranked:
    """An answer with these scores."""
    places = np.arange(len(scores))
    return Ranked.from_dense(places, places, np.array(scores, np.float32))


def test_refusals_by_null_phrase_and_by_floor_are_counted_apart(endpoint: Endpoint, metrics: Metrics) -> None:
    answers = [
        dataclasses.replace(ranked(), null=NullMatch(0, 0.9, by, 0.8)) for by in ("null", "floor", "null", "null")
    ]
    answered = dataclasses.replace(ranked(0.9), null=NullMatch(0, 0.8, "", 0.9))
    metrics.count_batch([*answers, answered, ranked()], lexical_seconds=0, scoring_seconds=0)
    metrics.send()
    names = ("out_of_scope_total[null]", "out_of_scope_total[floor]", "empty_answers_total")
    assert [endpoint.values[f"malgil_{name}"] for name in names] == [3, 1, 5]


def test_batches_are_summed_and_each_metric_crosses_to_the_server_once(endpoint: Endpoint, metrics: Metrics) -> None:
    metrics.count_batch([ranked(0.95, 0.9, 0.85), ranked(), ranked(0.85)], lexical_seconds=0.25, scoring_seconds=0.5)
    metrics.count_batch([ranked(), ranked(0.75)], lexical_seconds=0.5, scoring_seconds=1)
    metrics.count_errors("invalid_argument")
    metrics.count_errors("invalid_argument")
    metrics.count_errors("no_catalog", 64)
    assert not endpoint.calls  # the thread that answers waits for nothing
    metrics.send()
    assert set(endpoint.calls.values()) == {1}
    assert {name: endpoint.values[f"malgil_{name}"] for name in (
        "queries_total", "hits_total", "empty_answers_total", "errors_total[invalid_argument]",
        "errors_total[no_catalog]", "lexical_seconds_total", "scoring_seconds_total", "top_score_count",
    )} == {
        "queries_total": 5, "hits_total": 5, "empty_answers_total": 2, "errors_total[invalid_argument]": 2,
        "errors_total[no_catalog]": 64, "lexical_seconds_total": 0.75, "scoring_seconds_total": 1.5,
        "top_score_count": 3,
    }  # fmt: skip
    assert endpoint.values["malgil_top_score_sum"] == pytest.approx(0.95 + 0.85 + 0.75)
    metrics.send()
    assert {name for name, calls in endpoint.calls.items() if calls > 1} == {f"malgil_{name}" for name in GAUGES}


def test_the_histogram_of_top_scores_is_cumulative_as_histogram_quantile_takes_it(
    endpoint: Endpoint, metrics: Metrics
) -> None:
    metrics.count_batch([ranked(score, 0.1) for score in (0.5, 0.8, 0.81, 0.9, 0.98, 0.99, 1.0)] + [ranked()], 0, 0)
    metrics.send()
    buckets = {name[24:-1]: v for name, v in endpoint.values.items() if name.startswith("malgil_top_score_bucket")}
    assert buckets == {
        "0.8": 2, "0.84": 3, "0.86": 3, "0.88": 3, "0.9": 4, "0.92": 4, "0.94": 4, "0.96": 4, "0.98": 5, "1": 7,
        "+Inf": 7,
    }  # fmt: skip
    assert endpoint.values["malgil_top_score_count"] == buckets["+Inf"]


def test_what_cannot_be_sent_at_once_is_not_lost(endpoint: Endpoint, metrics: Metrics) -> None:
    metrics.count_batch([ranked(0.9)], lexical_seconds=0.25, scoring_seconds=0.5)
    endpoint.fails = 1
    with pytest.raises(RuntimeError):
        metrics.send()
    metrics.count_batch([ranked(0.9)], lexical_seconds=0.25, scoring_seconds=0.5)
    metrics.send()
    assert endpoint.values["malgil_queries_total"] == 2
    assert endpoint.values["malgil_scoring_seconds_total"] == 1


def test_the_endpoint_keeps_up_by_itself_even_after_a_failure(endpoint: Endpoint, metrics: Metrics) -> None:
    endpoint.fails = 1
    metrics.start()
    metrics.count_batch([ranked(0.9)], 0, 0)
    try:
        assert within_patience(lambda: endpoint.values["malgil_queries_total"] == 1)
    finally:
        metrics.stop()


def test_a_stopped_scorer_releases_its_metrics_which_would_crash_the_stub(endpoint: Endpoint, metrics: Metrics) -> None:
    metrics.start()
    metrics.stop()
    gc.collect()
    assert endpoint.made
    assert not any(made() for made in endpoint.made)


def test_scorers_of_several_devices_share_no_metric(endpoint: Endpoint) -> None:
    Metrics(endpoint, {"scorer": "scorer_0_0"})
    Metrics(endpoint, {"scorer": "scorer_1_0"})  # Endpoint refuses a metric with the labels of another


def test_the_age_of_the_index_goes_on_without_queries(endpoint: Endpoint) -> None:
    now = [NOW.timestamp()]
    metrics = Metrics(endpoint, clock=lambda: now[0])
    metrics.send()
    assert endpoint.values["malgil_generation"] == 0
    assert math.isnan(endpoint.values["malgil_index_age_seconds"])
    published = (NOW - timedelta(seconds=90)).isoformat()
    metrics.show_generation(
        dataclasses.replace(generation(np.eye(3, dtype=np.float32), [0, 0, 1], [7, 8]), created=published)
    )
    for passed in (0, 30):
        now[0] = NOW.timestamp() + passed
        metrics.send()
        assert endpoint.values["malgil_index_age_seconds"] == 90 + passed
    assert [endpoint.values[f"malgil_{name}"] for name in ("generation", "services", "phrases")] == [42, 2, 3]


@pytest.mark.parametrize("created", ["", "yesterday", "None"])
def test_a_generation_that_does_not_say_its_age_serves(endpoint: Endpoint, metrics: Metrics, created: str) -> None:
    one = generation(np.eye(2, dtype=np.float32), [0, 1], [7, 8])
    metrics.show_generation(dataclasses.replace(one, created=created))
    metrics.send()
    assert endpoint.values["malgil_generation"] == 42
    assert math.isnan(endpoint.values["malgil_index_age_seconds"])


def test_a_refused_publish_counts_once_and_the_last_good_generation_stays(
    endpoint: Endpoint, metrics: Metrics, tmp_path: Path
) -> None:
    index, encoder = tmp_path / "index", tmp_path / "encoder.json"
    ENCODER.write(encoder)
    follower = IndexFollower(index, encoder, CpuScorer, lambda *_: None, metrics)

    def look(times: int) -> list[float]:
        for _ in range(times):
            follower.refresh()
        metrics.send()
        return [endpoint.values[f"malgil_{name}"] for name in ("generation", "services", "publishes_refused_total")]

    assert look(2) == [0, 0, 0]
    publish(CATALOG, index, ENCODER, embed)
    assert look(2) == [1, 3, 0]
    assert 0 <= time.time() - (NOW.timestamp() - endpoint.values["malgil_index_age_seconds"]) < 60
    for number in (2, 3):
        publish(CATALOG, index, OTHER_ENCODER, embed)
        assert look(3) == [1, 3, number - 1]
    point_at(index, 1)
    assert look(2) == [1, 3, 2]
    point_at(index, 3)
    assert look(2) == [1, 3, 3]  # pointed at once more, refused once more
    (index / "CURRENT").write_text("latest\n")
    assert look(3) == [1, 3, 4]


def test_operators_see_what_the_live_server_answers(server: Server, index: Path) -> None:
    time.sleep(2 * SEND_SECONDS)  # what came before is sent
    before = read(server)
    with grpc.InferenceServerClient(server.grpc_url) as client:
        answers = [infer(client, "search", query=texts([query])) for query in ("돈 보내기", "ㅅㄱ", "이자", "송금")]
        for _ in range(2):
            nothing = infer(client, "search", query=texts(["돈"]), min_score=np.ones((1, 1), np.float32))
            assert (nothing["id"] == -1).all()
        with pytest.raises(InferenceServerException):
            infer(client, "search", query=texts(["송금"]), top_k=np.zeros((1, 1), np.int32))
    tops = [float(answer["score"][0, 0]) for answer in answers]
    rose = {
        "queries_total": 6, "hits_total": 40, "empty_answers_total": 2, 'errors_total{kind="invalid_argument"}': 1,
        'errors_total{kind="no_catalog"}': 0, "publishes_refused_total": 0, "top_score_count": 4,
        'top_score_bucket{le="+Inf"}': 4, 'top_score_bucket{le="1"}': 4,
        'top_score_bucket{le="0.9"}': sum(top <= 0.9 for top in tops),
    }  # fmt: skip

    def difference() -> dict[str, float]:
        after = read(server)
        return {name: after[name] - before[name] for name in rose}

    within_patience(lambda: difference() == rose)
    assert difference() == rose
    after = read(server)
    assert after["top_score_sum"] - before["top_score_sum"] == pytest.approx(sum(tops), abs=1e-4)
    for name in ("lexical_seconds_total", "scoring_seconds_total"):
        assert 0 < after[name] - before[name] < 1
    serving = load(folder_of(index, int(answers[-1]["generation"][0, 0])))
    assert [after["generation"], after["services"], after["phrases"]] == [
        serving.number, len(serving.thresholds), len(serving.matrix)
    ]  # fmt: skip
    age = time.time() - datetime.fromisoformat(serving.created).timestamp()
    assert after["index_age_seconds"] == pytest.approx(age, abs=2)


def read(server: Server) -> dict[str, float]:
    """Our metrics, by name without its prefix, with their labels but the one that every metric has."""
    with urllib.request.urlopen(server.metrics_url, timeout=5) as answer:
        lines = re.findall(r"^malgil_(\w+)\{(.*)\} (\S+)$", answer.read().decode(), re.MULTILINE)
    found = {}
    for name, labels, value in lines:
        own = [label for label in labels.split(",") if not label.startswith("scorer=")]
        found[name + (f"{{{','.join(own)}}}" if own else "")] = float(value)
    return found


def within_patience(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + PATIENCE
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.1)
    return condition()
