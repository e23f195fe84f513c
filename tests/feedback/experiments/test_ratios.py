"""Intervals of metrics are as wide as people who search often make them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from feedback.experiments.ratios import Difference, Doubles, Ratio

PEOPLE = 300


def people(draw: np.random.Generator, shift: float = 0.0, count: int = PEOPLE) -> tuple[Doubles, Doubles]:
    """Choices and searches of people who differ in how often they search, and in how often they choose."""
    searches = draw.geometric(0.15, count).astype(np.float64)
    taste = draw.beta(2, 2, count) * 0.8 + 0.1 + shift
    return draw.binomial(searches.astype(int), np.clip(taste, 0, 1)).astype(np.float64), searches


def test_an_interval_holds_the_truth_as_often_as_it_says_though_people_search_often() -> None:
    draw = np.random.default_rng(1)
    held = []
    naive = []
    for _ in range(1000):
        one, other = (Ratio.of(*people(draw)) for _ in range(2))
        low, high = Difference.of(one, other).interval(0.95)
        held.append(low <= 0 <= high)
        by_search = math.sqrt(sum(each.value * (1 - each.value) / each.count for each in (one, other)))
        naive.append(abs(other.value - one.value) <= 1.96 * by_search)
    assert 0.93 <= np.mean(held) <= 0.97
    assert np.mean(naive) < 0.85  # what a service owner would be told if each search counted alone


def test_the_delta_method_gives_the_spread_that_resampling_people_gives() -> None:
    draw = np.random.default_rng(2)
    y, x = people(draw, count=2000)
    resampled = []
    for _ in range(2000):
        rows = draw.integers(0, len(x), len(x))
        resampled.append(y[rows].sum() / x[rows].sum())
    assert math.sqrt(Ratio.of(y, x).variance) == pytest.approx(np.std(resampled), rel=0.05)


def test_people_without_a_choice_do_not_count_among_those_whose_keystrokes_are_counted() -> None:
    found = Ratio.of(np.array([4.0, 0, 2]), np.array([2.0, 0, 1]))
    assert (found.value, found.people, found.count) == (2.0, 2, 3.0)


@pytest.mark.parametrize("searches", [[], [3.0]])
def test_one_person_is_no_evidence(searches: list[float]) -> None:
    one = Ratio.of(np.array(searches), np.array(searches))
    difference = Difference.of(one, Ratio.of(np.array([1.0, 2]), np.array([2.0, 3])))
    assert not difference.is_known
    assert difference.interval(0.95) == (-math.inf, math.inf)
    assert difference.p() == 1.0


def test_two_arms_in_which_nobody_differs_prove_nothing() -> None:
    same = Ratio.of(np.array([2.0, 4]), np.array([2.0, 4]))
    assert not Difference.of(same, same).is_known
