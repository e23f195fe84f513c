"""A preference in an interleaving is of people, each of whom counts once."""

from __future__ import annotations

import math

import numpy as np
import pytest

from feedback.experiments import preference
from feedback.experiments.preference import Choices, Signs


def choices(*rows: tuple[int, int, int]) -> Choices:
    """Choices of (person, day, team)."""
    person, day, team = np.array(rows, dtype=np.int64).reshape(-1, 3).T
    return Choices(("a", "b"), person, day, team, len(rows))


def test_one_eager_person_does_not_outvote_two_others() -> None:
    found = Signs.of(choices(*[(0, 0, 1)] * 50, (1, 0, 0), (2, 0, 0), (3, 0, 0), (3, 0, 1)))
    assert (found.first, found.second, found.tied) == (2, 1, 1)
    assert found.share == pytest.approx(1 / 3)


def test_a_sign_that_has_entered_the_daily_test_stays() -> None:
    days, signs = preference.by_day(choices((0, 5, 1), (0, 6, 0), (0, 6, 0), (1, 5, 0), (1, 5, 1), (1, 7, 0)))
    assert days.tolist() == [5, 6, 7]
    assert [(one.first, one.second, one.tied) for one in signs] == [(0, 1, 1), (0, 1, 1), (1, 1, 0)]


def test_equal_variants_are_told_apart_by_daily_looks_in_at_most_five_of_a_hundred_experiments() -> None:
    draw = np.random.default_rng(6)
    wrong = 0
    rounds = 600
    for _ in range(rounds):
        people = draw.zipf(1.7, 1500) % 200  # a few choose very often
        found = Choices(("a", "b"), people, draw.integers(0, 21, 1500), draw.integers(0, 2, 1500), 1500)
        wrong += preference.always_valid(preference.by_day(found)[1], 0.1)[-1] <= 0.05
    assert wrong / rounds <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / rounds)


def test_the_sign_test_is_that_of_the_textbook() -> None:
    p, low, high = Signs(5, 15).test(0.95)
    assert p == pytest.approx(0.0414, abs=1e-4)  # 2 · P(at most 5 of 20)
    assert low == pytest.approx(0.509, abs=1e-3)  # Clopper and Pearson
    assert high == pytest.approx(0.913, abs=1e-3)
    assert Signs(0, 0, 3).test(0.95) == (1.0, 0.0, 1.0)
    assert math.isnan(Signs(0, 0).share)
