"""The numbers of people that an experiment is planned with are those of textbooks, and they suffice."""

from __future__ import annotations

import math

import numpy as np
import pytest

from feedback.experiments import sequential
from feedback.experiments.planning import Plan, person_variance
from feedback.experiments.preference import Signs


def test_the_people_of_one_look_are_those_of_published_examples() -> None:
    once = Plan(once=True)
    # Chow, Shao and Wang 2008, 4.2: 65 % against 85 %, α 0.05, power 0.8: 70 in each group.
    assert once.people((0.65 * 0.35, 0.85 * 0.15), 0.20) == 2 * 70
    # Lehr 1992: 16 σ² / δ² in each group for power 0.8.
    assert once.people((1.0, 1.0), 0.25) == pytest.approx(2 * 16 / 0.25**2, rel=0.03)
    # The same by the tables of Machin and others 2018, means, δ/σ 0.5, power 0.9: 84 by the normal formula.
    assert Plan(power=0.9, once=True).people((1.0, 1.0), 0.5) == 2 * 85


def test_people_who_search_alike_are_worth_fewer_searches() -> None:
    assert person_variance(0.25, 1, 0.5) == 0.25
    assert person_variance(0.25, 10, 0.0) == pytest.approx(0.025)
    assert person_variance(0.25, 10, 1.0) == pytest.approx(0.25)  # ten searches that say the same are one


def test_a_small_share_of_people_needs_more_of_them() -> None:
    half, tenth = (Plan(share=share, once=True).people((0.2, 0.2), 0.05) for share in (0.5, 0.1))
    assert tenth / half == pytest.approx(0.25 / 0.09, rel=0.02)
    assert tenth % 10 == 0


@pytest.mark.parametrize("once", [True, False])
def test_so_many_people_find_the_effect_as_often_as_they_were_planned_to(once: bool) -> None:
    plan = Plan(once=once)
    effect, variance = 0.05, 0.09
    arm = plan.people((variance, variance), effect) // 2
    draw = np.random.default_rng(3)
    looks = 30
    steps = draw.normal(effect * arm / looks, math.sqrt(2 * variance * arm / looks), (4000, looks))
    sizes = np.arange(1, looks + 1) * arm / looks
    differences, errors = steps.cumsum(axis=1) / sizes, np.sqrt(2 * variance / sizes)
    if once:
        found = np.abs(differences[:, -1]) > 1.96 * errors[-1]
        assert found.mean() == pytest.approx(0.8, abs=0.02)
    else:
        bounds = np.array([sequential.radius(float(error), effect, 0.05) for error in errors])
        assert (np.abs(differences[:, -1]) > bounds[-1]).mean() == pytest.approx(0.8, abs=0.02)
        assert (np.abs(differences) > bounds).any(axis=1).mean() > 0.82  # most are over earlier


@pytest.mark.parametrize("once", [True, False])
def test_so_many_people_with_a_preference_show_it(once: bool) -> None:
    plan = Plan(once=once)
    people = plan.deciding_people(0.1)
    won, times = np.unique(np.random.default_rng(4).binomial(people, 0.6, 20_000), return_counts=True)
    if once:
        found = [Signs(people - n, n).test(0.95)[0] <= 0.05 for n in won.tolist()]
    else:
        found = [sequential.log_ratio_of_share(n, people - n, 0.1) >= math.log(20) for n in won.tolist()]
    assert np.average(found, weights=times) == pytest.approx(0.8, abs=0.02)
    assert plan.power_of_signs(people - 12, 0.1) < 0.8


def test_the_people_of_the_sign_test_are_about_those_of_its_normal_formula() -> None:
    # (1.96 · 0.5 + 0.8416 · √0.24)² / 0.01 = 194; the exact test, which whole people make careful, needs a few more.
    assert 194 <= Plan(once=True).deciding_people(0.1) <= 212


def test_looking_daily_costs_less_than_twice_the_people() -> None:
    daily, once = (Plan(once=flag).people((0.2, 0.2), 0.03) for flag in (False, True))
    assert 1.8 < daily / once < 2.0
