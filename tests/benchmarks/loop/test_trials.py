"""Experiments on invented people find what was planted, and the page says how often they are wrong."""

from __future__ import annotations

import math

import numpy as np
import pytest

from benchmarks.loop import trials
from benchmarks.loop.people import invent
from tests.benchmarks.loop.world import world

PEOPLE = invent(24, seed=0)


@pytest.mark.slow
@pytest.mark.parametrize("one", [trials.interleaved, trials.split])
def test_a_better_variant_is_found_and_equals_are_left_equal(one: trials.Trial) -> None:
    better, worse, same = (trials.variant(world(), noise, 5, 10) for noise in (0.0, 2.0, 0.5))
    planted = trials.rates([one(PEOPLE, 400, trials.planted(worse, better), seed) for seed in range(12)])
    assert planted.second >= 9
    assert planted.first == 0
    equal = trials.rates([one(PEOPLE, 150, trials.equals(same), seed) for seed in range(60)])
    wrong = equal.first + equal.second
    assert wrong <= 60 * 0.05 + 3 * math.sqrt(60 * 0.05 * 0.95)


def test_the_better_variant_is_found_whichever_side_it_is_on() -> None:
    better, worse = (trials.variant(world(), noise, 5, 10) for noise in (0.0, 3.0))
    assert trials.interleaved(PEOPLE, 300, trials.planted(worse, better), 1).share > 0.55
    assert trials.interleaved(PEOPLE, 300, trials.planted(better, worse), 1).share < 0.45


def test_equals_show_different_hits() -> None:
    same = trials.variant(world(), 0.5, 5, 10)
    assert len(same.lists) == 10
    assert sum(one != other for one, other in zip(same.lists[0], same.lists[1], strict=True)) > 3


def test_people_join_over_time_and_some_search_often() -> None:
    visits = trials.Visits.draw(PEOPLE, 500, np.random.default_rng(1))
    times = np.bincount(visits.person, minlength=500)
    assert times.max() > 4 * times.mean()
    assert set(visits.day.tolist()) == set(range(trials.DAYS))
    assert (visits.day < 2).sum() < (visits.day >= trials.DAYS - 2).sum()
