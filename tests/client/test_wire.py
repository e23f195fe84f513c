"""Both clients, over both protocols, against real servers on real ports."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from malgil import (
    BadRequest,
    DeadlineExceeded,
    Overloaded,
    SearchClient,
    ServerError,
    Unavailable,
)

from tests.client import fake_triton
from tests.client.blocking import open_client
from tests.client.fake_triton import SERVERS, Brain

MODES = ["sync", "async"]


@pytest.fixture
def brain() -> Brain:
    return Brain()


@pytest.fixture(params=[(protocol, mode) for protocol in SERVERS for mode in MODES], ids="-".join)
def client(request: pytest.FixtureRequest, brain: Brain) -> Iterator[Any]:
    protocol, mode = request.param
    with SERVERS[protocol](brain) as url, open_client(mode, url, timeout=10) as client:
        yield client


def test_a_search_brings_its_hits_and_generation(client: Any) -> None:
    result = client.search("돈 보내기", top_k=2, surface="RECO", min_score=0.25)
    assert [(hit.id, hit.name, hit.path) for hit in result] == [(11, "돈 보내기", "홈 > 송금"), (7, "�", "")]
    assert result.generation == 42


def test_a_search_explains_its_scores_when_asked_and_only_then(client: Any) -> None:
    assert [(hit.dense, hit.lexical) for hit in client.search("돈")] == [(None, None)] * 2
    explained = client.search("돈", explain=True)
    np.testing.assert_allclose([(hit.dense, hit.lexical) for hit in explained], [(0.8, 0.5), (0.5, 0)], atol=1e-6)
    (many,) = client.search_many(["돈"], explain=True)
    assert many == explained


def test_the_server_receives_the_options_that_were_given_and_no_others(client: Any, brain: Brain) -> None:
    client.search("돈", top_k=2, surface="RECO", min_score=0.25)
    client.search("돈")
    (model, given), (_, bare) = brain.requests
    assert model == "search"
    assert {name: array.item() for name, array in given.items()} == {
        "query": "돈".encode(),
        "top_k": 2,
        "surface": b"RECO",
        "min_score": 0.25,
    }
    assert list(bare) == ["query"]


def test_many_searches_run_at_once_and_keep_their_order(client: Any, brain: Brain) -> None:
    brain.delay = 0.05
    asked = [f"질문 {index}" for index in range(60)]
    results = client.search_many((query for query in asked), concurrency=8, top_k=1)
    assert [result[0].name for result in results] == asked
    assert 2 <= brain.most_at_once <= 8
    assert client.search_many([]) == []


def test_one_bad_query_of_many_raises_its_error_and_stops_the_rest(client: Any, brain: Brain) -> None:
    brain.delay = 0.02
    brain.fail_on["나쁨"] = fake_triton.BLANK
    with pytest.raises(BadRequest, match=r"^query: the text is blank$"):
        client.search_many(["나쁨", *(f"질문 {index}" for index in range(500))], concurrency=2)
    assert len(brain.requests) < 100
    assert client.search("다음")  # the client is none the worse


def test_many_are_checked_before_one_is_sent(client: Any, brain: Brain) -> None:
    with pytest.raises(TypeError, match=r"^query must be str, not int"):
        client.search_many(["돈", 3])
    with pytest.raises(TypeError, match=r"^queries must be an iterable of str, not one str"):
        client.search_many("돈")
    with pytest.raises(ValueError, match=r"^concurrency: 0"):
        client.search_many(["돈"], concurrency=0)
    assert brain.requests == []


def test_embed_answers_one_vector_for_a_text_and_a_matrix_for_many(client: Any, brain: Brain) -> None:
    one = client.embed("송금")
    many = client.embed(["a", "bb", "ccc"], kind="passage")
    assert (one.shape, one.dtype, one.tolist()) == ((3,), np.float32, [2, 0, 1])
    assert many[:, 0].tolist() == [1, 2, 3]
    assert client.embed([]).shape == (0, 0)
    assert list(brain.requests[0][1]) == ["text"]
    assert {inputs["kind"].item() for _, inputs in brain.requests[1:]} == {b"passage"}


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (fake_triton.BLANK, BadRequest),
        (fake_triton.QUEUE_TIMEOUT, DeadlineExceeded),
        (fake_triton.NO_CATALOG, Unavailable),
        (fake_triton.DEAD_STUB, Unavailable),
        (("INTERNAL", "oops"), ServerError),
    ],
)
def test_what_a_retry_would_not_mend_is_raised_at_once(
    client: Any, brain: Brain, said: tuple[str, str], kind: type[Exception]
) -> None:
    brain.failures = [said]
    with pytest.raises(kind) as caught:
        client.search("돈")
    assert str(caught.value) == said[1].removeprefix("in ensemble 'search', ")
    assert len(brain.requests) == 1
    brain.failures = [said]
    assert not client.ready()


def test_a_queue_that_was_full_twice_is_asked_a_third_time(client: Any, brain: Brain) -> None:
    brain.failures = [fake_triton.QUEUE_FULL] * 2
    assert client.generation() == 42
    assert len(brain.requests) == 3


def test_a_queue_that_stays_full_is_an_overload(client: Any, brain: Brain) -> None:
    brain.failures = [fake_triton.QUEUE_FULL] * 3
    with pytest.raises(Overloaded, match=r"^Exceeds maximum queue size$"):
        client.search("돈")
    assert brain.failures == []
    assert client.ready()


def test_a_slow_server_costs_no_more_than_the_timeout(client: Any, brain: Brain) -> None:
    brain.delay = 2
    started = time.monotonic()
    with pytest.raises(DeadlineExceeded, match=r"^no answer within 0\.2 s$"):
        client.search("돈", timeout=0.2)
    assert not client.ready(timeout=0.2)
    assert time.monotonic() - started < 1.5
    assert len(brain.requests) == 2


def test_retries_cost_no_more_than_the_timeout(client: Any, brain: Brain) -> None:
    brain.delay = 0.2
    brain.failures = [fake_triton.QUEUE_FULL] * 2
    started = time.monotonic()
    with pytest.raises((DeadlineExceeded, Overloaded)):
        client.search("돈", timeout=0.3)
    assert time.monotonic() - started < 1


def test_a_closed_client_says_so(client: Any) -> None:
    client.close()
    client.close()
    with pytest.raises(RuntimeError, match=r"^this client is closed$"):
        client.search("돈")


@pytest.mark.parametrize("protocol", SERVERS)
def test_other_model_names_can_be_asked(protocol: str, brain: Brain) -> None:
    with (
        SERVERS[protocol](brain) as url,
        SearchClient(url, search_model="search_b", embed_model="embed_b") as client,
    ):
        client.search("돈")
        client.embed("돈")
    assert [model for model, _ in brain.requests] == ["search_b", "embed_b"]


def test_the_example_in_the_readme_works(brain: Brain, capsys: pytest.CaptureFixture[str]) -> None:
    readme = (Path(__file__).parents[2] / "client" / "README.md").read_text(encoding="utf-8")
    example = readme.split("```python\n")[1].split("```")[0]
    for server in SERVERS.values():
        with server(brain) as url:
            exec(example.replace("localhost:8001", url), {})
    line = "0.900  홈 > 송금  (돈 보내기)\n"
    assert capsys.readouterr().out.count(line) == 2
