"""The invented people and their clicks are what the page of results says of them."""

from __future__ import annotations

import numpy as np
import pytest
from malgil_core.catalog.reading import read as read_catalog

from benchmarks import CATALOG
from benchmarks.loop.clicks import CHOSEN, NOISE, choose, luck
from benchmarks.loop.habits import HABITS, MENUS, TYPED, UNTYPED
from benchmarks.loop.people import QUERIES, best_possible, invent


def test_every_service_that_somebody_may_mean_can_be_found() -> None:
    opened = {service.id for service in read_catalog(CATALOG) if service.open}
    meant = {id for ids in QUERIES.values() for id in ids}
    assert not meant - opened
    assert not {id for ids in HABITS.values() for id in ids} - opened
    assert opened >= MENUS


def test_the_queries_are_ambiguous_and_habits_decide_them() -> None:
    assert len(HABITS) >= 6
    assert {"카드", "내역", "한도", "신청"} <= TYPED.keys()
    assert not TYPED.keys() & UNTYPED.keys()
    for query, ids in QUERIES.items():
        assert len(set(ids)) == len(ids) >= 3
        habits = [habit for habit, own in HABITS.items() if set(own) & set(ids)]
        assert len(habits) >= 2, query  # else popularity would be as good as knowing the person


def test_people_differ_within_a_habit_and_are_the_same_for_the_same_seed() -> None:
    one, other = (invent(48, seed=0) for _ in range(2))
    assert all(np.array_equal(a.means[q], b.means[q]) for a, b in zip(one, other, strict=True) for q in QUERIES)
    first, ninth = one[0], one[len(HABITS)]
    assert first.habit == ninth.habit
    assert not np.allclose(first.means["카드"], ninth.means["카드"])
    assert {person.habit for person in one} == HABITS.keys()
    assert 0.3 < best_possible(one, "typed") < 0.9


def test_high_ranks_are_chosen_because_they_are_seen() -> None:
    draw = np.random.default_rng(1)
    first, fifth = ([choose(range(10), intent, one) for one in luck(draw, 4000)] for intent in (0, 4))
    assert first.count(0) / 4000 == pytest.approx(CHOSEN, abs=0.02)
    assert fifth.count(4) / 4000 == pytest.approx(CHOSEN / 5, abs=0.03)
    assert fifth.count(0) / 4000 == pytest.approx(NOISE, abs=0.01)
    assert fifth.count(None) / 4000 > 0.6  # what is far down is hardly found


def test_what_is_not_shown_is_not_chosen() -> None:
    draw = np.random.default_rng(2)
    assert {choose([1, 2, 3], 9, one) for one in luck(draw, 2000)} == {None, 0, 1, 2}
    assert all(choose([*range(1, 15)], 13, one) in (None, *range(10)) for one in luck(draw, 500))
    assert choose([], 1, luck(draw, 1)[0]) is None
