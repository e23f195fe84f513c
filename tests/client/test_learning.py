"""Learning by way of a client: the vectors of what was shown are asked for once, and kept within a bound."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from malgil import Hit, PersonalLayer
from malgil._vectors import MOST, Text, VectorCache

from tests.client.blocking import open_client
from tests.client.fake_triton import SERVERS, Scenario


@pytest.fixture
def scenario() -> Scenario:
    return Scenario()


@pytest.fixture(params=[(protocol, mode) for protocol in SERVERS for mode in ("sync", "async")], ids="-".join)
def client(request: pytest.FixtureRequest, scenario: Scenario) -> Iterator[Any]:
    protocol, mode = request.param
    with SERVERS[protocol](scenario) as url, open_client(mode, url, timeout=10) as client:
        yield client


def hit(id_: int, phrase: str, score: float = 0.9) -> Hit:
    return Hit(id_, f"service {id_}", "", score, phrase)


HITS = [hit(1, "하나"), hit(2, "하나둘", 0.8), hit(3, "하나둘셋", 0.7), hit(4, "다른 것", 0.6)]


def embedded(scenario: Scenario) -> list[tuple[str, str]]:
    """(kind, text) of each request to embed."""
    return sorted(
        (inputs["kind"].item().decode() if "kind" in inputs else "query", inputs["text"].item().decode())
        for model, inputs in scenario.requests
        if model == "embed"
    )


def test_a_layer_is_sent_with_each_search_and_not_sent_without(client: Any, scenario: Scenario) -> None:
    layer = client.new_layer()
    assert (layer.dimension, layer.encoder) == (3, "5" * 64)
    scenario.requests.clear()
    client.search("카드", personal=layer)
    client.search_many(["카드"], personal=layer)
    client.search_all("카드", personal=layer)
    client.search("카드")
    assert "personal" not in scenario.requests[3][1]
    sent = [inputs["personal"].item() for _, inputs in scenario.requests[:3]]
    assert [PersonalLayer.from_bytes(one) for one in sent] == [layer] * 3


def test_vectors_of_what_was_seen_are_asked_for_once_by_the_kind_that_the_index_used(
    client: Any, scenario: Scenario
) -> None:
    layer = PersonalLayer.zero(3)
    assert client.learn(layer, "카드", HITS, HITS[1]) is layer
    assert embedded(scenario) == [("phrase", "하나"), ("phrase", "하나둘"), ("phrase", "하나둘셋"), ("query", "카드")]
    assert layer.vector.any()
    scenario.requests.clear()
    before = layer.vector
    client.learn(layer, "카드", HITS, 1)
    assert embedded(scenario) == []
    assert not np.array_equal(layer.vector, before)
    client.learn(layer, "내역", HITS, 2)
    assert embedded(scenario) == [("phrase", "다른 것"), ("query", "내역")]


def test_vectors_of_one_encoder_are_not_taken_for_those_of_another(client: Any, scenario: Scenario) -> None:
    client.learn(PersonalLayer.zero(3, encoder="5" * 64), "카드", HITS, 1)
    scenario.requests.clear()
    client.learn(PersonalLayer.zero(3, encoder="7" * 64), "카드", HITS, 1)
    assert len(embedded(scenario)) == 4


def test_a_choice_that_was_not_shown_is_refused_before_anything_is_sent(client: Any, scenario: Scenario) -> None:
    layer = PersonalLayer.zero(3)
    for chosen, sentence in ((hit(9, "x"), "service 9 is not among the 4 hits"), (4, "4 is not a place among 4 hits")):
        with pytest.raises(ValueError, match=f"^chosen: {sentence}"):
            client.learn(layer, "카드", HITS, chosen)
    wrong: Any
    for wrong in (True, 1.0, "하나"):
        with pytest.raises(TypeError, match=r"^chosen must be malgil\.Hit or int, not"):
            client.learn(layer, "카드", HITS, wrong)
    with pytest.raises(TypeError, match=r"^query must be str"):
        client.learn(layer, b"x", HITS, 0)
    assert scenario.requests == []
    assert not layer.vector.any()


def test_a_device_keeps_no_more_vectors_than_said_and_drops_those_unused_for_longest() -> None:
    cache = VectorCache(3)
    texts = [Text("", "phrase", str(n)) for n in range(5)]
    vector = np.zeros(2, np.float32)
    cache.put(dict.fromkeys(texts[:3], vector))
    assert list(cache.get(texts[:1])) == texts[:1]
    cache.put({texts[3]: vector})
    assert list(cache.get(texts)) == [texts[0], texts[2], texts[3]]
    cache.put(dict.fromkeys(texts, vector))
    assert len(cache) == 3
    assert MOST == 2048
