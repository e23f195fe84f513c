"""Experiments on invented people find what was planted, and the page says how often they are wrong."""

from __future__ import annotations

import math

import numpy as np
import pytest

from benchmarks.loop import trials
from benchmarks.loop.people import QUERIES, invent
from tests.benchmarks.loop.world import world

PEOPLE = invent(24, seed=0)


@pytest.mark.slow
@pytest.mark.parametrize("one", [trials.interleaved, trials.split])
def test_a_better_variant_is_found_and_equals_are_left_equal(one: trials.Trial) -> None:
    planted = trials.rates([one(PEOPLE, 1000, trials.planted(world(), PEOPLE), seed) for seed in range(6)])
    assert planted.second >= 5
    assert planted.first == 0
    equal = trials.rates([one(PEOPLE, 200, trials.equals(world(), 1), seed) for seed in range(40)])
    wrong = equal.first + equal.second
    assert wrong <= 40 * 0.05 + 3 * math.sqrt(40 * 0.05 * 0.95)


def test_the_better_variant_is_found_whichever_side_it_is_on() -> None:
    worse, better = trials.planted(world(), PEOPLE)
    assert trials.interleaved(PEOPLE, 600, (worse, better), 1).share > 0.55
    assert trials.interleaved(PEOPLE, 600, (better, worse), 1).share < 0.45


def test_equals_show_different_orders_of_the_same_hits() -> None:
    first, second = trials.equals(world(), 1)
    assert len(first.lists) == trials.COPIES
    pairs = list(zip(first.lists[0], second.lists[1], strict=True))
    assert sum(one != other for one, other in pairs) > 10
    assert all(sorted(one) == sorted(other) for one, other in pairs)


def test_people_mean_and_type_what_they_are_said_to() -> None:
    visits = trials.Visits.draw(PEOPLE[:1], 6000, np.random.default_rng(1))
    (person,) = PEOPLE[:1]
    assert np.bincount(visits.query, minlength=16) / len(visits.query) == pytest.approx(person.types, abs=0.02)
    of_first = visits.intent[visits.query == 0]
    shares = [np.mean(of_first == id) for id in QUERIES[trials.KEYS[0]]]
    assert shares == pytest.approx(person.means[trials.KEYS[0]].tolist(), abs=0.04)


def test_people_join_over_time_and_some_search_often() -> None:
    visits = trials.Visits.draw(PEOPLE, 500, np.random.default_rng(1))
    times = np.bincount(visits.person, minlength=500)
    assert times.max() > 4 * times.mean()
    assert set(visits.day.tolist()) == set(range(trials.DAYS))
    assert (visits.day < 2).sum() < (visits.day >= trials.DAYS - 2).sum()
