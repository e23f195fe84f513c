"""A/B experiments: who gets which arm, and what the events say."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from malgil import AsyncSearchClient, Experiment, Feedback, Interleaving, SearchClient

from tests.client.fake_triton import SERVERS, Scenario

KEY = b"0123456789abcdef"
FEEDBACK = Feedback(KEY, close_timeout=30)
PEOPLE = [f"user-{number}" for number in range(10_000)]
NOBODY = "127.0.0.1:1"


@pytest.fixture(scope="module")
def client() -> Iterator[SearchClient]:
    """A client that nobody asks."""
    with SearchClient(NOBODY) as client:
        yield client


def experiment(client: SearchClient, share: Any = None, name: str = "weights", key: bytes = KEY) -> Any:
    arms = dict.fromkeys(("a", "b", "c") if share and "c" in share else ("a", "b"), client)
    return Experiment(name, arms, share, key=key)


def counted(tested: Any) -> dict[str, int]:
    arms = [tested.arm(person) for person in PEOPLE]
    return {arm: arms.count(arm) for arm in tested.shares}


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        (None, {"a": 0.5, "b": 0.5}),
        ({"b": 0.1}, {"a": 0.9, "b": 0.1}),
        ({"b": 0.01}, {"a": 0.99, "b": 0.01}),
        ({"b": 0.0}, {"a": 1.0, "b": 0.0}),
        ({"a": 0.2, "b": 0.3, "c": 0.5}, {"a": 0.2, "b": 0.3, "c": 0.5}),
        ({"c": 0.6}, {"a": 0.2, "b": 0.2, "c": 0.6}),
    ],
)
def test_each_arm_gets_its_share_of_the_people(client: SearchClient, share: Any, expected: dict[str, float]) -> None:
    tested = experiment(client, share)
    assert tested.shares == pytest.approx(expected)
    for arm, count in counted(tested).items():
        # four standard deviations of a binomial
        bound = 4 * (len(PEOPLE) * expected[arm] * (1 - expected[arm])) ** 0.5
        assert abs(count - len(PEOPLE) * expected[arm]) <= bound


def test_a_person_always_gets_the_same_arm_in_every_process(client: SearchClient) -> None:
    tested = experiment(client, {"b": 0.5})
    assert [tested.arm(person) for person in PEOPLE] == [experiment(client).arm(person) for person in PEOPLE]
    assert "".join(tested.arm(person) for person in PEOPLE[:24]) == "bbaaaaaabbbababaabbabbbb"


def test_a_larger_share_takes_people_from_the_others_and_moves_nobody_else(client: SearchClient) -> None:
    before, after = experiment(client, {"b": 0.1, "c": 0.3}), experiment(client, {"b": 0.4, "c": 0.2})
    moved = {(before.arm(person), after.arm(person)) for person in PEOPLE}
    assert moved == {("a", "a"), ("b", "b"), ("c", "c"), ("a", "b"), ("c", "b")}


def test_two_experiments_and_two_keys_draw_people_independently(client: SearchClient) -> None:
    first = experiment(client)
    for other in (experiment(client, name="catalog"), experiment(client, key=b"fedcba9876543210")):
        same = sum(first.arm(person) == other.arm(person) for person in PEOPLE)
        assert abs(same - 5000) <= 4 * 50


@pytest.mark.parametrize(
    ("settings", "error", "sentence"),
    [
        ({"name": 3}, TypeError, "name must be str, not int"),
        ({"name": "a:b"}, ValueError, "name: 'a:b' is not of 1 to 40 characters"),
        ({"name": ""}, ValueError, "name: '' is not"),
        ({"key": "0123456789abcdef"}, TypeError, "key must be bytes, not str"),
        ({"key": b"short"}, ValueError, "key: 5 bytes are below 16"),
        ({"arms": ("a",)}, ValueError, "arms: 1 are below 2"),
        ({"arms": ("a", "interleaved")}, ValueError, "arms: 'interleaved' is not .* reserved"),
        ({"arms": ("a", "a:b")}, ValueError, "arms: 'a:b' is not of 1 to 20 characters"),
        ({"share": {"c": 0.5}}, ValueError, "share: 'c' is none of the arms a, b"),
        ({"share": {"b": 1.5}}, ValueError, "share: 1.5 of 'b' is not between 0 and 1"),
        ({"share": {"b": float("nan")}}, ValueError, "share: nan of 'b' is not between 0 and 1"),
        ({"share": {"b": "0.5"}}, TypeError, "share: that of 'b' must be float, not str"),
        ({"share": {"a": 0.5, "b": 0.4}}, ValueError, "share: together 0.9, not 1"),
        ({"share": {"a": 0.8, "b": 0.4}}, ValueError, "share: together 1.2, not 1"),
    ],
)
def test_bad_settings_are_refused_in_one_sentence(
    client: SearchClient, settings: dict[str, Any], error: type[Exception], sentence: str
) -> None:
    given = {"name": "weights", "arms": ("a", "b"), "share": None, "key": KEY} | settings
    with pytest.raises(error, match=f"^{sentence}"):
        Experiment(given["name"], dict.fromkeys(given["arms"], client), given["share"], key=given["key"])


def test_what_is_no_client_or_a_mixture_of_clients_is_refused(client: SearchClient) -> None:
    with pytest.raises(TypeError, match=r"^arms must be SearchClient or AsyncSearchClient$"):
        Experiment("weights", {"a": client, "b": NOBODY}, key=KEY)  # type: ignore[type-var]
    mixed: Any = AsyncSearchClient(NOBODY)
    with pytest.raises(TypeError, match=r"^arms must be all SearchClient or all AsyncSearchClient, not both$"):
        Experiment("weights", {"a": client, "b": mixed}, key=KEY)
    with pytest.raises(TypeError, match=r"^arms must be all SearchClient"):
        Interleaving("weights", a=client, b=mixed, key=KEY)


def test_a_search_without_a_person_is_refused_since_it_would_have_no_arm(client: SearchClient) -> None:
    with pytest.raises(ValueError, match=r"^person: is empty"):
        experiment(client).search("카드", person="")
    with pytest.raises(TypeError, match=r"^person must be str, not int"):
        experiment(client).search("카드", person=17)
    with pytest.raises(TypeError, match="person"):
        experiment(client).search("카드")


@pytest.mark.slow
@pytest.mark.parametrize("protocol", SERVERS)
@pytest.mark.parametrize("mode", ["sync", "async"])
def test_a_person_is_answered_by_one_server_whose_events_name_the_arm(protocol: str, mode: str) -> None:
    scenarios = {"a": Scenario(), "b": Scenario()}
    with ExitStack() as stack:
        urls = {arm: stack.enter_context(SERVERS[protocol](scenario)) for arm, scenario in scenarios.items()}
        if mode == "sync":
            _search(urls)
        else:
            asyncio.run(_search_async(urls))
    for arm, scenario in scenarios.items():
        assert {event["variant"] for event in scenario.events} == {f"weights:{arm}"}
        assert len({event["person"] for event in scenario.events}) == len(scenario.requests) // 2
        assert [event["type"] for event in scenario.events].count("chosen") == len(scenario.requests)
    assert sum(len(scenario.requests) for scenario in scenarios.values()) == 40


def _search(urls: dict[str, str]) -> None:
    with ExitStack() as stack:
        arms = {arm: stack.enter_context(SearchClient(url, feedback=FEEDBACK, timeout=30)) for arm, url in urls.items()}
        tested = Experiment("weights", arms, {"b": 0.5}, key=KEY)
        for person in PEOPLE[:20]:
            result = tested.search("카드", person=person, top_k=3)
            result.chose(result[0])
            both = tested.search_all("카드", person=person, documents_top_k=1)
            both.services.chose(both.services[0])


async def _search_async(urls: dict[str, str]) -> None:
    arms = {arm: AsyncSearchClient(url, feedback=FEEDBACK, timeout=30) for arm, url in urls.items()}
    tested = Experiment("weights", arms, {"b": 0.5}, key=KEY)
    for person in PEOPLE[:20]:
        result = await tested.search("카드", person=person, top_k=3)
        result.chose(result[0])
        both = await tested.search_all("카드", person=person, documents_top_k=1)
        both.services.chose(both.services[0])
    for client in arms.values():
        await client.close()
