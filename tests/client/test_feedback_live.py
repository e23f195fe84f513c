"""Feedback from both clients, over both protocols, through a live Triton to the log of events."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from malgil import Experiment, Feedback, FeedbackCounts, Interleaving, SearchClient, new_search_id
from malgil_core.events.types import AnyEvent

from tests import events
from tests.client.blocking import open_client
from tests.client.test_feedback import feedback_of

KEY = b"0123456789abcdef"

Stored = Callable[[str, int], list[AnyEvent]]


@pytest.fixture(scope="module", params=["grpc-sync", "grpc-async", "http-sync", "http-async"])
def client(request: pytest.FixtureRequest, server: Any) -> Iterator[Any]:
    protocol, mode = request.param.split("-")
    url = server.grpc_url if protocol == "grpc" else server.http_url
    with open_client(mode, url, timeout=30, feedback=Feedback(KEY, log_queries=True, interval=0.05)) as client:
        yield client


@pytest.fixture
def stored(repository: Path) -> Stored:
    """The events of a search id in the server's log, once there are so many."""
    return partial(events.stored, repository.parent / "events")


def test_a_search_and_its_choice_are_in_the_servers_log_without_the_query(client: Any, stored: Stored) -> None:
    before = feedback_of(client).counts.sent
    result = client.search("돈 보내기", person="user-17", surface="SEARCH", top_k=5)
    result.chose(result[0])
    assert feedback_of(client).flush(30)
    assert feedback_of(client).error is None
    assert feedback_of(client).counts == FeedbackCounts(before + 3, 0, 0, 0)
    search, shown, chosen = stored(result.search_id, 3)
    assert (search.type, search.query, search.count) == ("search", "", 5)  # type: ignore[union-attr]
    assert search.surface == "SEARCH"
    assert [hit.id for hit in shown.hits] == [hit.id for hit in result]  # type: ignore[union-attr]
    assert [hit.score for hit in shown.hits] == pytest.approx([hit.score for hit in result], abs=1e-6)  # type: ignore[union-attr]
    assert (chosen.type, chosen.id, chosen.rank) == ("chosen", result[0].id, 1)  # type: ignore[union-attr]
    assert {event.generation for event in (search, shown, chosen)} == {result.generation}
    assert len({event.person for event in (search, shown, chosen)}) == 1


def test_why_an_answer_is_empty_is_reported_without_explain(client: Any, stored: Stored) -> None:
    result = client.search("오늘 날씨 어때")
    assert (len(result), result.refused_by) == (0, None)
    result.abandoned()
    assert feedback_of(client).flush(30)
    search, abandoned = stored(result.search_id, 2)
    assert (search.count, search.refused_by) == (0, "null")  # type: ignore[union-attr]
    assert abandoned.type == "abandoned"
    assert client.search("오늘 날씨 어때", explain=True).refused_by == "null"


def test_services_of_a_unified_search_are_reported_and_every_keystroke_is_numbered(client: Any, stored: Stored) -> None:
    session = new_search_id()
    for typed in ("송", "송ㄱ", "송금"):
        client.search(typed, search_id=session)
    both = client.search_all("송금", search_id=session)
    both.services.chose(both.services[0])
    assert feedback_of(client).flush(30)
    events = stored(session, 9)
    assert [event.k for event in events if event.type == "shown"] == [1, 2, 3, 4]
    assert [(event.type, event.k) for event in events[-1:]] == [("chosen", 4)]


def test_an_event_that_the_server_refuses_costs_no_other(client: Any, stored: Stored) -> None:
    before = feedback_of(client).counts
    result = client.search("환전")
    sender = feedback_of(client)._sender
    sender.put([{"type": "clicked", "search_id": result.search_id}])
    result.chose(result[0])
    assert feedback_of(client).flush(30)
    assert feedback_of(client).counts == FeedbackCounts(before.sent + 3, 0, before.refused + 1, 0)
    assert [event.type for event in stored(result.search_id, 3)] == ["search", "shown", "chosen"]


@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_a_server_without_the_model_answers_searches_and_their_events_are_counted_as_lost(
    server: Any, protocol: str, mode: str
) -> None:
    url = server.grpc_url if protocol == "grpc" else server.http_url
    with open_client(mode, url, timeout=30, feedback=Feedback(KEY, model="nosuch")) as client:
        assert client.search("돈 보내기")[0].name == "송금"
        assert feedback_of(client).flush(30)
        assert feedback_of(client).counts == FeedbackCounts(sent=0, dropped=2, refused=0, waiting=0)
        assert "'nosuch' is not found" in (feedback_of(client).error or "")


def test_thousands_of_events_arrive_once_each(server: Any, stored: Stored) -> None:
    with SearchClient(server.grpc_url, timeout=60, feedback=Feedback(KEY, close_timeout=30)) as client:
        sender = client.feedback._sender
        assert sender
        session = new_search_id()
        event = {"type": "abandoned", "search_id": session, "at_ms": 0, "generation": 1, "variant": ""}
        event |= {"surface": "", "person": ""}
        for k in range(1, 5001):
            sender.put([event | {"k": k}])
        assert client.feedback.flush(60)
        assert client.feedback.counts == FeedbackCounts(5000, 0, 0, 0)
    assert [event.k for event in stored(session, 5000)] == list(range(1, 5001))


def test_an_experiment_and_an_interleaving_are_told_apart_in_the_log(server: Any, stored: Stored) -> None:
    with (
        SearchClient(server.grpc_url, timeout=30, feedback=Feedback(KEY, close_timeout=30)) as a,
        SearchClient(server.http_url, timeout=30, feedback=Feedback(KEY, close_timeout=30)) as b,
    ):
        experiment = Experiment("e1", {"a": a, "b": b}, key=KEY)
        tested = experiment.search("환전", person="user-17", top_k=4)
        tested.chose(tested[0])
        drafted = Interleaving("i1", a=a, b=b, key=KEY).search("환전", person="user-17", top_k=4)
        drafted.chose(drafted[1])
        assert [hit.id for hit in drafted] == [hit.id for hit in tested]  # the same server twice
        assert sorted(str(hit.team) for hit in drafted) == ["a", "a", "b", "b"]
    assert {event.variant for event in stored(tested.search_id, 3)} == {f"e1:{experiment.arm('user-17')}"}
    events = stored(drafted.search_id, 3)
    assert {event.variant for event in events} == {"i1:interleaved"}
    assert json.loads(events[-1].as_json())["team"] == drafted[1].team
