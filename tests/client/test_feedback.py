"""Feedback on the wire: both clients, both protocols, and the faults of a server that a real one does not show."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from malgil import AsyncSearchClient, Feedback, FeedbackCounts, SearchClient, new_search_id

from tests.client.blocking import open_client
from tests.client.fake_triton import NO_EVENTS, QUEUE_FULL, QUEUE_TIMEOUT, SERVERS, Scenario, grpc_server
from tests.client.test_connections import appearing, unused_port

pytestmark = pytest.mark.slow

KEY = b"0123456789abcdef"
MODES = [(protocol, mode) for protocol in SERVERS for mode in ("sync", "async")]


def feedback_of(client: Any) -> Any:
    """The sender of a client, also of one in tests.client.blocking, all of whose attributes are methods."""
    return getattr(client, "_client", client).feedback


@pytest.fixture
def scenario() -> Scenario:
    return Scenario()


@pytest.fixture(params=MODES, ids="-".join)
def client(request: pytest.FixtureRequest, scenario: Scenario) -> Iterator[Any]:
    protocol, mode = request.param
    settings = Feedback(KEY, log_queries=True, interval=0.1, timeout=60)
    with SERVERS[protocol](scenario) as url, open_client(mode, url, timeout=60, feedback=settings) as client:
        yield client


def types(scenario: Scenario) -> list[str]:
    return [event["type"] for event in scenario.events]


def test_a_search_its_hits_and_the_choice_reach_the_server_under_one_id(client: Any, scenario: Scenario) -> None:
    result = client.search("카드", person="user-17", surface="SEARCH", top_k=5)
    result.chose(result[1])
    assert feedback_of(client).flush(30)
    search, shown, chosen = scenario.events
    assert {event["search_id"] for event in scenario.events} == {result.search_id}
    assert len({event["person"] for event in scenario.events}) == 1
    assert {(event["surface"], event["generation"], event["k"]) for event in scenario.events} == {("SEARCH", 42, 1)}
    assert (search["type"], search["count"], search["refused_by"], search["query"]) == ("search", 2, "", "카드")
    assert (shown["type"], [(hit["id"], hit["rank"]) for hit in shown["hits"]]) == ("shown", [(11, 1), (7, 2)])
    assert (chosen["type"], chosen["id"], chosen["rank"], chosen["score"]) == ("chosen", 7, 2, 0.5)
    assert abs(search["at_ms"] - time.time() * 1000) < 10_000
    assert feedback_of(client).counts == FeedbackCounts(sent=3, dropped=0, refused=0, waiting=0)


def test_the_keystrokes_of_a_session_share_its_id_and_are_numbered(client: Any, scenario: Scenario) -> None:
    session = new_search_id()
    for typed in ("ㅅ", "소", "송"):
        result = client.search(typed, search_id=session)
    assert result.search_id == session
    result.abandoned()
    both = client.search_all("송금", search_id=session, person="user-17", variant="other:b")
    both.services.chose(both.services[0])
    assert feedback_of(client).flush(30)
    assert {event["search_id"] for event in scenario.events} == {session}
    assert [event["k"] for event in scenario.events if event["type"] == "search"] == [1, 2, 3, 4]
    assert [(event["type"], event["k"], event["variant"]) for event in scenario.events[-4:]] == [
        ("abandoned", 3, ""),
        ("search", 4, "other:b"),
        ("shown", 4, "other:b"),
        ("chosen", 4, "other:b"),
    ]


def test_each_query_of_search_many_is_a_session_of_its_own(client: Any, scenario: Scenario) -> None:
    results = client.search_many([f"질문 {i}" for i in range(40)], person="user-17")
    assert feedback_of(client).flush(30)
    sent = {event["search_id"] for event in scenario.events}
    assert sent == {result.search_id for result in results}
    assert len(sent) == 40


def test_probes_documents_and_embeddings_are_no_events(client: Any, scenario: Scenario) -> None:
    assert client.ready()
    assert client.generation() == 42
    client.search_documents("카드")
    client.embed("카드")
    assert feedback_of(client).flush(30)
    assert feedback_of(client).counts == FeedbackCounts(0, 0, 0, 0)
    assert "refused_by" not in scenario.outputs[0]


def test_a_search_that_failed_is_no_event(client: Any, scenario: Scenario) -> None:
    scenario.failures = [("INTERNAL", "oops")]
    with pytest.raises(Exception, match="oops"):
        client.search("카드")
    assert feedback_of(client).counts.waiting == 0


def test_a_choice_that_arrives_without_the_result_is_reported_by_its_ticket(client: Any, scenario: Scenario) -> None:
    result = client.search("카드", person="user-17")
    feedback_of(client).chose(result.ticket, 7)
    feedback_of(client).chose(result.ticket, result[0])
    feedback_of(client).abandoned(result.ticket)
    result.chose(result[1])
    assert feedback_of(client).flush(30)
    by_ticket, other, abandoned, by_result = scenario.events[2:]
    assert by_ticket | {"at_ms": 0} == by_result | {"at_ms": 0}
    assert (other["id"], abandoned["type"]) == (11, "abandoned")


@pytest.mark.parametrize(("protocol", "mode"), MODES)
def test_nothing_is_sent_without_feedback(protocol: str, mode: str, scenario: Scenario) -> None:
    before = set(threading.enumerate())
    with SERVERS[protocol](scenario) as url, open_client(mode, url) as client:
        result = client.search("카드", person="user-17", search_id=new_search_id())
        result.chose(result[0])
        assert feedback_of(client).flush(30)
        assert "malgil-feedback" not in {thread.name for thread in set(threading.enumerate()) - before}
    assert scenario.event_requests == []
    assert "refused_by" not in scenario.outputs[0]


@pytest.mark.parametrize("protocol", SERVERS)
def test_the_key_of_the_server_is_sent_with_events(protocol: str, scenario: Scenario) -> None:
    scenario.key = "open-sesame"
    with SERVERS[protocol](scenario) as url:
        with SearchClient(url, key="open-sesame", feedback=Feedback(KEY, close_timeout=30)) as client:
            client.search("카드")
        assert types(scenario) == ["search", "shown"]  # sent when it closed
        with SearchClient(url, key="open-sesame", feedback=Feedback(KEY, close_timeout=30)) as client:
            client.search("카드")
            scenario.key = "changed"
            assert client.feedback.flush()
        assert client.feedback.counts == FeedbackCounts(sent=0, dropped=0, refused=2, waiting=0)
        assert "asks for a key" in (client.feedback.error or "")


def test_a_server_without_the_model_answers_searches_and_loses_their_events_with_one_warning(
    client: Any, scenario: Scenario, caplog: pytest.LogCaptureFixture
) -> None:
    scenario.event_failures = [NO_EVENTS] * 3
    with caplog.at_level(logging.WARNING, "malgil"):
        for _ in range(3):
            assert client.search("카드")[0].name == "카드"
            assert feedback_of(client).flush(30)
    assert feedback_of(client).counts == FeedbackCounts(sent=0, dropped=6, refused=0, waiting=0)
    assert feedback_of(client).error == "Request for unknown model: 'events' is not found"
    assert [record.message for record in caplog.records] == [
        "feedback is lost: Request for unknown model: 'events' is not found"
    ]
    client.search("카드")
    assert feedback_of(client).flush(30)
    assert (feedback_of(client).counts.sent, feedback_of(client).error) == (2, None)


def test_searches_are_answered_while_a_server_hangs_over_their_events(client: Any, scenario: Scenario) -> None:
    scenario.hold = threading.Event()
    try:
        client.search("카드")
        assert not feedback_of(client).flush(0.3)  # the first batch is under way, and stays so
        for _ in range(20):
            result = client.search("카드")
            result.chose(result[0])
        assert scenario.events == []
        assert feedback_of(client).counts == FeedbackCounts(sent=0, dropped=0, refused=0, waiting=62)
    finally:
        scenario.hold.set()
    assert feedback_of(client).flush(30)
    assert feedback_of(client).counts == FeedbackCounts(sent=62, dropped=0, refused=0, waiting=0)


def test_a_full_disk_of_the_server_is_counted(client: Any, scenario: Scenario) -> None:
    scenario.disk_full = True
    client.search("카드")
    assert feedback_of(client).flush(30)
    assert feedback_of(client).counts == FeedbackCounts(sent=0, dropped=2, refused=0, waiting=0)


def test_one_event_that_the_server_does_not_take_costs_no_other(client: Any, scenario: Scenario) -> None:
    scenario.bad_event = lambda event: event.get("query") == "나쁨"
    for query in [*(f"질문 {i}" for i in range(20)), "나쁨", "끝"]:
        client.search(query)
    assert feedback_of(client).flush(30)
    assert feedback_of(client).counts == FeedbackCounts(sent=43, dropped=0, refused=1, waiting=0)
    assert [event["query"] for event in scenario.events if event["type"] == "search"] == [
        *(f"질문 {i}" for i in range(20)),
        "끝",
    ]


def test_events_that_a_full_queue_turned_away_are_sent_again_and_those_of_unknown_fate_are_not(
    client: Any, scenario: Scenario
) -> None:
    scenario.event_failures = [QUEUE_FULL] * 3
    client.search("카드")
    assert feedback_of(client).flush(30)
    assert feedback_of(client).counts.sent == len(scenario.events) == 2
    scenario.event_failures = [QUEUE_TIMEOUT]
    client.search("카드")
    assert feedback_of(client).flush(30)
    assert feedback_of(client).counts == FeedbackCounts(sent=2, dropped=2, refused=0, waiting=0)


@pytest.mark.parametrize(("protocol", "mode"), MODES)
def test_a_hundred_searches_need_four_requests(protocol: str, mode: str, scenario: Scenario) -> None:
    settings = Feedback(KEY, interval=600, timeout=60, close_timeout=60)
    with SERVERS[protocol](scenario) as url, open_client(mode, url, timeout=60, feedback=settings) as client:
        client.search_many(["카드"] * 100, concurrency=16)
    assert scenario.event_requests == [64, 64, 64, 8]


def test_an_event_is_sent_within_the_interval_without_being_asked(client: Any, scenario: Scenario) -> None:
    client.search("카드")
    end = time.monotonic() + 30
    while len(scenario.events) < 2 and time.monotonic() < end:
        time.sleep(0.02)
    assert types(scenario) == ["search", "shown"]


@pytest.mark.parametrize("protocol", SERVERS)
def test_events_wait_for_a_server_that_restarts_and_the_newest_are_dropped_when_too_many_wait(protocol: str) -> None:
    port = unused_port()
    scenario = Scenario()
    settings = Feedback(KEY, interval=0.05, max_waiting=100, close_timeout=0.5)
    # It answers searches; events go to the port where nobody listens yet.
    with SERVERS[protocol](scenario) as url, SearchClient(url, feedback=settings) as searching:
        sender = searching.feedback._sender
        assert sender
        sender._connect = _connect(f"{protocol}://127.0.0.1:{port}")
        for _ in range(100):
            searching.search("카드")
            time.sleep(0.002)
        counts = searching.feedback.counts
        assert counts.sent == counts.refused == 0
        assert counts.dropped + counts.waiting == 200
        assert 100 <= counts.waiting <= 164  # and a batch under way
        with appearing(protocol, port, after=0):
            assert searching.feedback.flush(30)
            assert searching.feedback.counts == FeedbackCounts(counts.waiting, counts.dropped, 0, 0)
    assert scenario.events == []


def _connect(url: str) -> Any:
    from malgil._transport import connect_events

    return lambda: connect_events(url, None, None)


@pytest.mark.parametrize(("protocol", "mode"), MODES)
@pytest.mark.parametrize("listening", [True, False])
def test_closing_takes_no_longer_than_was_said_when_the_server_hangs_or_is_gone(
    protocol: str, mode: str, listening: bool, scenario: Scenario
) -> None:
    with SERVERS[protocol](scenario) as url, socket.create_server(("127.0.0.1", 0)) as hung:
        address = hung.getsockname()[1] if listening else unused_port()
        settings = Feedback(KEY, interval=0.05, timeout=60, close_timeout=0.5)
        with open_client(mode, url, feedback=settings) as client:
            feedback_of(client)._sender._connect = _connect(f"{protocol}://127.0.0.1:{address}")
            for _ in range(100):
                client.search("카드")
            began = time.monotonic()
        assert time.monotonic() - began < 5  # 0.5, and what the machine is busy with; gRPC's own limits are longer
        counts = feedback_of(client).counts
        assert counts.sent == 0
        assert counts.dropped >= 200 - 64  # of the batch under way the end is not known
        assert counts.dropped + counts.waiting == 200


def test_a_choice_after_the_client_was_closed_is_counted_as_dropped(scenario: Scenario) -> None:
    with grpc_server(scenario) as url:
        with SearchClient(url, feedback=Feedback(KEY, close_timeout=30)) as client:
            result = client.search("카드")
        result.chose(result[0])
        assert client.feedback.flush()
    assert client.feedback.counts == FeedbackCounts(sent=2, dropped=1, refused=0, waiting=0)


@pytest.mark.parametrize("protocol", SERVERS)
def test_many_threads_lose_and_repeat_no_event(protocol: str, scenario: Scenario) -> None:
    def work(number: int) -> None:
        for i in range(25):
            result = searching.search(f"{number} {i}", person=f"user-{number}")
            result.chose(result[i % 2])

    settings = Feedback(KEY, log_queries=True, interval=0.01)
    with SERVERS[protocol](scenario) as url, SearchClient(url, timeout=30, feedback=settings) as searching:
        threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert searching.feedback.flush(30)
    assert searching.feedback.counts == FeedbackCounts(sent=1200, dropped=0, refused=0, waiting=0)
    queries = [event["query"] for event in scenario.events if event["type"] == "search"]
    assert sorted(queries) == sorted(f"{number} {i}" for number in range(16) for i in range(25))
    for kind in ("shown", "chosen"):
        ids = [event["search_id"] for event in scenario.events if event["type"] == kind]
        assert len(ids) == len({*ids}) == 400


@pytest.mark.parametrize("protocol", SERVERS)
async def test_an_event_loop_is_not_held_up_by_events_and_closing_sends_the_rest(
    protocol: str, scenario: Scenario
) -> None:
    scenario.event_delay = 0.3
    with SERVERS[protocol](scenario) as url:
        async with AsyncSearchClient(url, feedback=Feedback(KEY, interval=0.01, close_timeout=30)) as client:
            ticks = 0

            async def tick() -> None:
                nonlocal ticks
                while True:
                    await asyncio.sleep(0.01)
                    ticks += 1

            ticking = asyncio.create_task(tick())
            results = await asyncio.gather(*(client.search("카드") for _ in range(10)))
            results[0].chose(results[0][0])
            assert await asyncio.to_thread(client.feedback.flush, 10)
            assert ticks >= 15  # of the 30 and more in the time that the server took
            results[1].abandoned()
        ticking.cancel()
    assert sorted(types(scenario)) == ["abandoned", "chosen", *["search"] * 10, *["shown"] * 10]
