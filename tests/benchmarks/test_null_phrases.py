"""The measurements of null phrases: shares of queries left empty, and both sides of the ratios really asked."""

from __future__ import annotations

import re
import time
import urllib.request

import numpy as np
import pytest
from malgil_core.catalog.reading import NullTopic
from malgil_core.ranking.margin import NullSettings
from malgil_core.ranking.topk import unit
from malgil_core.ranking.types import Floats

from benchmarks import null_load, null_phrases
from export.catalog.settings import Choices
from server.launcher import Server
from training.evaluation.corpus import Corpus, Entry

AXES = {"송금": 0, "환전": 1, "오늘 날씨": 2}


def embed(texts: list[str]) -> Floats:
    """An axis for each known text, and an equal share of all for others."""
    rows = [np.eye(3)[AXES[text]] if text in AXES else np.ones(3) for text in texts]
    return unit(np.array(rows, np.float32))


@pytest.fixture
def corpus() -> Corpus:
    return Corpus([Entry(1, ["송금"]), Entry(2, ["환전"])], embed, [NullTopic("날씨", ("오늘 날씨",))])  # type: ignore[arg-type]


def test_shares_count_what_is_left_empty_and_the_rest_is_named(corpus: Corpus) -> None:
    asked = [(text, vector) for text, vector in zip(("오늘 날씨", "송"), embed(["오늘 날씨", "송금"]), strict=True)]
    empty = null_phrases.left_empty(corpus, asked)
    assert (empty.queries, empty.by_null, empty.by_floor, empty.by_threshold) == (2, 0.5, 0.0, 0.0)
    assert empty.answered == ["송: 송금 (begins a word of a service)"]


def test_what_calibrated_thresholds_leave_empty_is_counted_apart_from_null_phrases() -> None:
    choices = Choices(default_threshold=0.9, null=NullSettings(margin=0.1, floor=-1))
    topics = [NullTopic("날씨", ("오늘 날씨",))]
    corpus = Corpus([Entry(1, ["송금"]), Entry(2, ["환전"])], embed, topics, choices)  # type: ignore[arg-type]
    asked = list(zip(texts := ["오늘 날씨", "모르는 말", "송금"], embed(texts), strict=True))
    empty = null_phrases.left_empty(corpus, asked)
    assert (empty.by_null, empty.by_floor, empty.by_threshold) == pytest.approx((1 / 3, 0, 1 / 3))
    assert empty.share == pytest.approx(2 / 3)
    assert [answer.partition(":")[0] for answer in empty.answered] == ["송금"]


def test_the_cost_is_that_of_the_same_batches_with_and_without(corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(null_phrases, "ROUNDS", {1: 3, 64: 2})
    queries = ["오늘 날씨", "송금", "환ㅈ"]
    costs = null_phrases.costs(corpus, queries, embed(queries))
    assert [cost.batch for cost in costs] == [1, 64]
    assert all(cost.without > 0 and 0.2 < cost.ratio < 20 for cost in costs)


def test_the_null_phrases_of_a_load_are_as_many_as_were_asked_for_and_the_catalog_s_own() -> None:
    topics = [NullTopic("날씨", ("비", "눈", "해")), NullTopic("운세", ("띠",)), NullTopic("게임", ("롤", "비"))]
    for count in range(1, 7):
        few = {topic.name: topic.phrases for topic in null_load.drawn(topics, count)}
        assert sum(map(len, few.values())) == count
        assert all(set(few[topic.name]) <= set(topic.phrases) for topic in topics if topic.name in few)
    assert null_load.drawn(topics, 100) == topics


@pytest.mark.slow
def test_half_of_the_load_has_null_phrases_and_half_has_not(server: Server) -> None:
    def refused() -> float:
        with urllib.request.urlopen(server.metrics_url, timeout=10) as page:
            return sum(map(float, re.findall(r"^malgil_out_of_scope_total\{.*\} (\S+)$", page.read().decode(), re.M)))

    shown: list[str] = []
    before = refused()
    ratios = null_load.measure(server.grpc_url, ["내일 비 와?"], 2, 60, 2, shown.append)
    assert len(ratios) == len(shown) == 2
    assert all(0.1 < ratio < 10 for ratio in ratios)
    for _ in range(20):
        if refused() >= before + 120:
            break
        time.sleep(0.2)
    assert before + 120 <= refused() < before + 200  # of 240
