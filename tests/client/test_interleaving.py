"""Team-draft interleaving: fair between equals, finds the better one, and never costs a person the answer."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from contextlib import ExitStack
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from malgil import AsyncSearchClient, Feedback, Hit, Interleaving, SearchClient, ServerError, new_search_id
from malgil._interleaving import team_draft

from tests.client.fake_triton import SERVERS, Scenario
from tests.client.tensors import Tensors

KEY = b"0123456789abcdef"
FEEDBACK = Feedback(KEY, close_timeout=30)


def ranking(*ids: int, score: float = 0.5) -> tuple[Hit, ...]:
    return tuple(Hit(id, str(id), str(id), score, "") for id in ids)


def drafted(a: tuple[Hit, ...], b: tuple[Hit, ...], *coins: bool) -> list[tuple[int, str | None]]:
    """Id and team of each hit; a coin that shows True lets "a" pick first."""
    thrown = iter(coins)
    return [(hit.id, hit.team) for hit in team_draft(a, b, lambda: next(thrown))]


def test_in_each_round_both_teams_pick_their_best_hit_in_the_order_of_a_coin() -> None:
    a, b = ranking(1, 2, 3, 4, 7, 8), ranking(2, 5, 1, 6, 7, 8)
    assert drafted(a, b, True, True, True) == [(1, "a"), (2, "b"), (3, "a"), (5, "b"), (4, "a"), (6, "b")]
    assert drafted(a, b, False, True, True) == [(2, "b"), (1, "a"), (3, "a"), (5, "b"), (4, "a"), (6, "b")]
    assert drafted(a, b, True, False, True) == [(1, "a"), (2, "b"), (5, "b"), (3, "a"), (4, "a"), (6, "b")]
    assert drafted(a, b, True, True, False) == [(1, "a"), (2, "b"), (3, "a"), (5, "b"), (6, "b"), (4, "a")]
    # the example of team_draft's docstring: an odd length ends within a round
    assert drafted(ranking(1, 2, 3), ranking(2, 4, 1), True, False) == [(1, "a"), (2, "b"), (4, "b")]


def test_hits_of_one_ranking_are_shown_although_the_other_has_none_left() -> None:
    assert drafted(ranking(1, 2, 3), ()) == [(1, "a"), (2, "a"), (3, "a")]
    assert drafted((), ranking(1, 2)) == [(1, "b"), (2, "b")]
    assert drafted((), ()) == []
    assert drafted(ranking(1), ranking(1, 2, 3), True) == [(1, "a"), (2, "b"), (3, "b")]


def test_a_hit_has_the_score_and_phrase_of_the_team_that_it_plays_for() -> None:
    (hit,) = team_draft(ranking(1, score=0.9), ranking(1, score=0.4), lambda: False)
    assert (hit.score, hit.team) == (0.4, "b")


@given(st.permutations(range(12)), st.permutations(range(12)), st.integers(0, 12), st.integers(0, 12), st.integers())
def test_no_hit_is_shown_twice_or_made_up_and_the_teams_are_even(
    a: list[int], b: list[int], first: int, second: int, seed: int
) -> None:
    one, other = a[:first], b[:second]
    coins = random.Random(seed)
    hits = team_draft(ranking(*one), ranking(*other), lambda: coins.random() < 0.5)
    ids = [hit.id for hit in hits]
    assert len(ids) == len({*ids}) == max(first, second)
    assert {*ids} <= {*one, *other}
    for team, ranked in (("a", one), ("b", other)):
        own = [ranked.index(hit.id) for hit in hits if hit.team == team]
        assert own == sorted(own)  # each team picks its best first
    if {*one} == {*other}:
        teams = Counter(hit.team for hit in hits)
        assert abs(teams["a"] - teams["b"]) <= 1
    if one and one[:1] == other[:1]:
        assert ids[0] == one[0]  # what both put first is first


def clicks(a: tuple[Hit, ...], b: tuple[Hit, ...], wanted: int | None, searches: int, seed: int) -> Counter[str]:
    """The teams of the hits that were chosen by people who look down the list with less and less patience.

    `wanted`: what they choose with probability 0.9, and others with 0.1; None: whatever they look at, with 0.3.
    """
    rng = random.Random(seed)
    chosen: Counter[str] = Counter()
    for _ in range(searches):
        for rank, hit in enumerate(team_draft(a, b, lambda: rng.random() < 0.5)):
            likes = 0.3 if wanted is None else 0.9 if hit.id == wanted else 0.1
            if rng.random() < likes / (rank + 1):
                chosen[str(hit.team)] += 1
                break
    return chosen


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (ranking(1, 2, 3, 4, 5), ranking(1, 2, 3, 4, 5)),
        (ranking(1, 2, 3, 4, 5), ranking(1, 2, 3, 5, 4)),  # as good, where nobody looks
        (ranking(1, 2, 3, 4, 5), ranking(6, 7, 8, 9, 10)),  # other hits, that people choose as gladly
    ],
)
@pytest.mark.parametrize("seed", range(3))
def test_between_equals_neither_team_is_chosen_more_often(a: Any, b: Any, seed: int) -> None:
    chosen = clicks(a, b, None, 20_000, seed)
    total = chosen["a"] + chosen["b"]
    assert total > 5000
    assert abs(chosen["a"] - total / 2) <= 4 * (total / 4) ** 0.5


@pytest.mark.parametrize("better", ["a", "b"])
def test_the_team_that_ranks_what_people_want_higher_is_chosen_more_often(better: str) -> None:
    good, bad = ranking(3, 1, 2, 4, 5), ranking(1, 2, 4, 5, 3)
    chosen = clicks(*((good, bad) if better == "a" else (bad, good)), wanted=3, searches=2000, seed=1)
    total = chosen["a"] + chosen["b"]
    assert chosen[better] > total / 2 + 4 * (total / 4) ** 0.5


class Ranked(Scenario):
    """A server with the given hits."""

    def __init__(self, *ids: int) -> None:
        super().__init__()
        self.ids = ids

    def answer(self, model: str, inputs: Tensors) -> Tensors | tuple[str, str]:
        found = super().answer(model, inputs)
        if isinstance(found, tuple) or model != "search":
            return found
        texts = np.array([[*(str(id).encode() for id in self.ids), b""]], dtype=np.object_)
        columns: Tensors = dict.fromkeys(("name", "path", "phrase"), texts)
        columns["id"] = np.array([[*self.ids, -1]], np.int64)
        columns["score"] = np.array([[*(1 - 0.1 * rank for rank in range(len(self.ids))), -1]], np.float32)
        columns["refused_by"] = np.array([[b"" if self.ids else b"null"]], dtype=np.object_)
        return found | columns


class Asked:
    """One blocking interface to an interleaving of blocking or of asyncio clients."""

    def __init__(self, mode: str, urls: tuple[str, str], settings: tuple[Feedback | None, Feedback | None]) -> None:
        self.loop = asyncio.new_event_loop()
        kind: Any = SearchClient if mode == "sync" else AsyncSearchClient
        self.clients = [
            kind(url, feedback=feedback, timeout=10, retries=0) for url, feedback in zip(urls, settings, strict=True)
        ]
        self.interleaving: Any = Interleaving("weights", a=self.clients[0], b=self.clients[1], key=KEY)

    def wait(self, value: Any) -> Any:
        return self.loop.run_until_complete(value) if asyncio.iscoroutine(value) else value

    def search(self, query: Any, **options: Any) -> Any:
        return self.wait(self.interleaving.search(query, **options))

    def close(self) -> None:
        for client in self.clients:
            self.wait(client.close())
        self.loop.close()


def asked(stack: ExitStack, mode: str, *scenarios: Scenario, protocol: str = "grpc", settings: Any = None) -> Asked:
    first, second = (stack.enter_context(SERVERS[protocol](scenario)) for scenario in scenarios)
    tested = Asked(mode, (first, second), settings or (FEEDBACK, None))
    stack.callback(tested.close)
    return tested


MODES = ["sync", "async"]


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("protocol", SERVERS)
def test_a_choice_from_two_servers_is_credited_to_the_team_of_the_hit(protocol: str, mode: str) -> None:
    a, b = Ranked(1, 2, 3), Ranked(2, 4, 1)
    with ExitStack() as stack:
        tested = asked(stack, mode, a, b, protocol=protocol)
        result = tested.search("카드", person="user-17", top_k=3, surface="SEARCH")
        result.chose(result[2])
        assert [hit.team for hit in result].count("a") in {1, 2}
        assert result.refused_by is None
    search, shown, chosen = a.events
    assert b.events == []
    assert {event["variant"] for event in a.events} == {"weights:interleaved"}
    assert {event["search_id"] for event in a.events} == {result.search_id}
    assert [(hit["id"], hit["team"]) for hit in shown["hits"]] == [(hit.id, hit.team) for hit in result]
    assert (chosen["id"], chosen["team"], chosen["rank"]) == (result[2].id, result[2].team, 3)
    assert search["count"] == 3
    for scenario in (a, b):
        ((model, inputs),) = scenario.requests
        assert (model, inputs["top_k"].item(), inputs["surface"].item()) == ("search", 3, b"SEARCH")


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
def test_two_servers_are_asked_at_once_not_one_after_the_other(mode: str) -> None:
    a, b = Ranked(1), Ranked(1)
    a.delay = b.delay = 1.5
    with ExitStack() as stack:
        tested = asked(stack, mode, a, b)
        began = time.monotonic()
        tested.search("카드")
        assert time.monotonic() - began < 2.9


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
def test_hits_keep_their_places_while_a_person_types_and_change_them_between_searches(mode: str) -> None:
    a, b = Ranked(1, 2, 3, 4, 5, 6), Ranked(6, 5, 4, 3, 2, 1)
    with ExitStack() as stack:
        tested = asked(stack, mode, a, b)
        session = new_search_id()
        shown = {tuple(hit.id for hit in tested.search(typed, search_id=session)) for typed in ("ㅋ", "카", "카드")}
        assert len(shown) == 1
        assert len({tuple(hit.id for hit in tested.search("카드")) for _ in range(20)}) > 2
    assert [event["k"] for event in a.events[:6]] == [1, 1, 2, 2, 3, 3]


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("broken", [0, 1])
def test_a_variant_that_fails_costs_no_person_the_answer_and_counts_for_neither(mode: str, broken: int) -> None:
    scenarios = Ranked(1, 2), Ranked(2, 1)
    scenarios[broken].failures = [("INTERNAL", "oops")]
    with ExitStack() as stack:
        tested = asked(stack, mode, *scenarios)
        result = tested.search("카드")
        assert [hit.id for hit in result] == [[2, 1], [1, 2]][broken]
        assert {hit.team for hit in result} == {None}
        result.chose(result[0])
    assert {(event["type"], event["variant"]) for event in scenarios[0].events} == {
        ("search", ""),
        ("shown", ""),
        ("chosen", ""),
    }


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
def test_where_both_fail_the_error_is_that_of_a(mode: str) -> None:
    a, b = Ranked(1), Ranked(1)
    a.failures, b.failures = [("INTERNAL", "first")], [("INTERNAL", "second")]
    with ExitStack() as stack:
        tested = asked(stack, mode, a, b)
        with pytest.raises(ServerError, match=r"^first$"):
            tested.search("카드")
        with pytest.raises(TypeError, match=r"^query must be str"):
            tested.search(5)
    assert a.events == []


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("settings", [(None, FEEDBACK), (None, None)])
def test_events_go_by_the_feedback_that_there_is(mode: str, settings: Any) -> None:
    a, b = Ranked(), Ranked(7)
    with ExitStack() as stack:
        tested = asked(stack, mode, a, b, settings=settings)
        result = tested.search("카드")
        assert [(hit.id, hit.team) for hit in result] == [(7, "b")]
        result.chose(result[0])
    assert a.events == []
    kinds = ["search", "shown", "chosen"] if settings[1] else []
    assert [event["type"] for event in b.events] == kinds
    assert [event["refused_by"] for event in b.events[:1]] == [""] * len(kinds[:1])
