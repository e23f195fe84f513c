"""The simulation tells ways of learning apart: it says so where nothing, or the wrong thing, is learned."""

from __future__ import annotations

from collections.abc import Sequence

import malgil
import numpy as np
import pytest

from benchmarks.loop.habits import TYPED
from benchmarks.loop.learning import Curve, Method, Nothing, Personal, Popularity, simulate
from benchmarks.loop.people import QUERIES, Person, best_possible, invent
from benchmarks.loop.run import plain
from benchmarks.loop.world import Shown
from tests.benchmarks.loop.world import DIMENSION, world

PEOPLE = invent(16, seed=0)
COUNTS = (0, 10)


class Knowing:
    """Shows first what the person means most: nobody can do better."""

    def __init__(self, people: list[Person]) -> None:
        self._people = {person.number: person for person in people}

    def lists(self, people: Sequence[int], queries: Sequence[str]) -> list[Shown]:
        """The meanings by their probability."""
        found = []
        for person, query in zip(people, queries, strict=True):
            order = np.argsort(-self._people[person].means[query])
            found.append(Shown([QUERIES[query][at] for at in order], [0] * len(order), [0.0] * len(order)))
        return found

    def chose(self, person: int, query: str, shown: Shown, place: int) -> None:
        """Nothing to learn."""


class Misled(Personal):
    """Learns from the hit after the one that was chosen."""

    def chose(self, person: int, query: str, shown: Shown, place: int) -> None:
        """The wrong lesson."""
        super().chose(person, query, shown, (place + 1) % len(shown.ids))


def curve(method: Method, seed: int = 1) -> Curve:
    """What people find."""
    return simulate(PEOPLE, method, seed, COUNTS)


def zero() -> malgil.PersonalLayer:
    """A new layer."""
    return malgil.PersonalLayer.zero(DIMENSION)


def test_who_knows_what_people_mean_finds_the_best_possible() -> None:
    found = curve(Knowing(PEOPLE))
    assert found.mean("typed", 0, "recall@1") == pytest.approx(best_possible(PEOPLE, "typed"))
    assert found.mean("untyped", 10, "recall@1") == pytest.approx(best_possible(PEOPLE, "untyped"))
    assert found.unfinished == 0


def test_nothing_learned_is_nothing_gained() -> None:
    found = curve(Nothing(world()))
    for queries in ("typed", "untyped"):
        assert found.mean(queries, 10, "recall@1") == found.mean(queries, 0, "recall@1")
        assert found.mean(queries, 0, "recall@1") <= found.mean(queries, 0, "mrr")


def test_counting_helps_with_queries_that_were_typed_and_with_no_others() -> None:
    found = curve(Popularity(world(), lambda person: person))
    assert found.mean("typed", 10, "recall@1") > found.mean("typed", 0, "recall@1") + 0.02
    assert found.mean("untyped", 10, "recall@1") == found.mean("untyped", 0, "recall@1")


def test_a_layer_of_zeros_shows_what_no_layer_shows() -> None:
    numbers, queries = [person.number for person in PEOPLE], [*TYPED]
    layered = Personal(world(), zero).lists(numbers, queries)
    assert layered == Nothing(world()).lists(numbers, queries)


def test_a_layer_that_learns_the_wrong_thing_is_worse_than_one_that_learns_the_right_one() -> None:
    right, wrong = (curve(method(world(), zero)).mean("typed", 10, "mrr") for method in (Personal, Misled))
    assert wrong < right


def test_a_run_can_be_repeated() -> None:
    one, other = (curve(Personal(world(), zero), seed=3) for _ in range(2))
    assert one.searches == other.searches
    assert all(np.array_equal(one.values[key], other.values[key], equal_nan=True) for key in one.values)


def test_people_who_find_nothing_are_counted_and_do_not_go_on_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.loop.learning.MOST_SEARCHES", 20)
    found = simulate(PEOPLE, Nothing(world()), 1, counts=(1000,))
    assert found.unfinished == len(PEOPLE)
    assert plain(found.values["typed", 1000, "mrr"].tolist()) == [None] * len(PEOPLE)
