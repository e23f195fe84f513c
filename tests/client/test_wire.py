"""Concurrency, failures, retries and deadlines of both clients over both protocols."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from malgil import (
    BadRequest,
    DeadlineExceeded,
    Overloaded,
    ServerError,
    Unavailable,
)

from tests.client import fake_triton
from tests.client.blocking import open_client
from tests.client.fake_triton import SERVERS, Scenario

pytestmark = pytest.mark.slow

MODES = ["sync", "async"]


@pytest.fixture
def scenario() -> Scenario:
    return Scenario()


@pytest.fixture(params=[(protocol, mode) for protocol in SERVERS for mode in MODES], ids="-".join)
def client(request: pytest.FixtureRequest, scenario: Scenario) -> Iterator[Any]:
    protocol, mode = request.param
    with SERVERS[protocol](scenario) as url, open_client(mode, url, timeout=10) as client:
        yield client


def test_many_searches_run_concurrently_and_keep_their_order(client: Any, scenario: Scenario) -> None:
    scenario.delay = 0.05
    asked = [f"질문 {index}" for index in range(60)]
    results = client.search_many((query for query in asked), concurrency=8, top_k=1)
    assert [result[0].name for result in results] == asked
    assert 2 <= scenario.most_at_once <= 8
    assert client.search_many([]) == []


def test_one_bad_query_of_many_raises_its_error_and_stops_the_others(client: Any, scenario: Scenario) -> None:
    scenario.delay = 0.02
    scenario.fail_on["나쁨"] = fake_triton.BLANK
    with pytest.raises(BadRequest, match=r"^query: the text is blank$"):
        client.search_many(["나쁨", *(f"질문 {index}" for index in range(500))], concurrency=2)
    assert len(scenario.requests) < 100
    assert client.search("다음")  # the client still works


def test_all_queries_are_checked_before_the_first_is_sent(client: Any, scenario: Scenario) -> None:
    with pytest.raises(TypeError, match=r"^query must be str, not int"):
        client.search_many(["돈", 3])
    with pytest.raises(TypeError, match=r"^queries must be an iterable of str, not one str"):
        client.search_many("돈")
    with pytest.raises(ValueError, match=r"^concurrency: 0"):
        client.search_many(["돈"], concurrency=0)
    assert scenario.requests == []


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (fake_triton.BLANK, BadRequest),
        (fake_triton.QUEUE_TIMEOUT, DeadlineExceeded),
        (fake_triton.NO_CATALOG, Unavailable),
        (fake_triton.DEAD_STUB, Unavailable),
        (("INTERNAL", "oops"), ServerError),
    ],
)
def test_a_failure_that_a_retry_would_not_fix_is_raised_at_once(
    client: Any, scenario: Scenario, status: tuple[str, str], kind: type[Exception]
) -> None:
    scenario.failures = [status]
    with pytest.raises(kind) as caught:
        client.search("돈")
    assert str(caught.value) == status[1].removeprefix("in ensemble 'search', ")
    assert len(scenario.requests) == 1
    scenario.failures = [status]
    assert not client.ready()


def test_a_search_succeeds_after_two_full_queues(client: Any, scenario: Scenario) -> None:
    scenario.failures = [fake_triton.QUEUE_FULL] * 2
    assert client.generation() == 42
    assert len(scenario.requests) == 3


def test_a_queue_that_stays_full_raises_overloaded(client: Any, scenario: Scenario) -> None:
    scenario.failures = [fake_triton.QUEUE_FULL] * 3
    with pytest.raises(Overloaded, match=r"^Exceeds maximum queue size$"):
        client.search("돈")
    assert scenario.failures == []
    assert client.ready()


def test_a_slow_server_takes_no_longer_than_the_timeout(client: Any, scenario: Scenario) -> None:
    scenario.delay = 2
    started = time.monotonic()
    with pytest.raises(DeadlineExceeded, match=r"^no answer within 0\.2 s$"):
        client.search("돈", timeout=0.2)
    assert not client.ready(timeout=0.2)
    assert time.monotonic() - started < 1.5
    assert len(scenario.requests) == 2


def test_retries_take_no_longer_than_the_timeout(client: Any, scenario: Scenario) -> None:
    scenario.delay = 0.2
    scenario.failures = [fake_triton.QUEUE_FULL] * 2
    started = time.monotonic()
    with pytest.raises((DeadlineExceeded, Overloaded)):
        client.search("돈", timeout=0.3)
    assert time.monotonic() - started < 1


def test_a_closed_client_raises_a_clear_error(client: Any) -> None:
    client.close()
    client.close()
    with pytest.raises(RuntimeError, match=r"^this client is closed$"):
        client.search("돈")
