"""A test that is looked at daily is wrong no more often than it says; a p of one look would be."""

from __future__ import annotations

import math

import numpy as np
import pytest

from feedback.experiments import sequential
from feedback.experiments.ratios import Difference
from feedback.experiments.sessions import METRICS, Looks, Sessions

DAYS = 28
SEEDS = 1000
ALPHA = 0.05


def simulated(draw: np.random.Generator, people: int, lift: float) -> Sessions:
    """An experiment of four weeks: people join over time, come back as often as they like, and differ in taste."""
    joined = draw.integers(0, DAYS, people)
    often = draw.gamma(0.5, 0.4, people) + 0.02
    arm = draw.integers(0, 2, people)
    taste = np.clip(draw.beta(4, 4, people) + lift * arm, 0, 1)
    counts = draw.poisson(often[:, np.newaxis] * (np.arange(DAYS) >= joined[:, np.newaxis]))
    person, day = (column.repeat(counts.ravel()) for column in np.indices(counts.shape).reshape(2, -1))
    chosen = draw.random(len(person)) < taste[person]
    rank = np.where(chosen, np.where(draw.random(len(person)) < 0.7, 1, 3), 0)
    return Sessions(("a", "b"), person, arm[person], day, rank, rank)


def reached(sessions: Sessions, effect: float) -> tuple[bool, bool]:
    """Whether the always-valid p, and whether the p of one look, was at or below ALPHA on any day."""
    looks = Looks.of(sessions, METRICS["click-through@1"])
    found = [Difference.of(*ratios) for ratios in looks.ratios]
    ratios = [
        sequential.log_ratio(one.value, one.error, effect) if min(r.people for r in pair) >= 20 else 0.0
        for one, pair in zip(found, looks.ratios, strict=True)
    ]
    return bool(sequential.always_valid(ratios)[-1] <= ALPHA), any(one.p() <= ALPHA for one in found[3:])


@pytest.mark.slow
def test_variants_that_are_equal_are_told_apart_on_some_day_in_at_most_five_of_a_hundred_experiments() -> None:
    found = np.array([reached(simulated(np.random.default_rng(seed), 600, 0.0), 0.05) for seed in range(SEEDS)])
    always, daily = found.mean(axis=0)
    assert always <= ALPHA + 2 * math.sqrt(ALPHA * (1 - ALPHA) / SEEDS)
    assert daily > 0.12  # what a service owner who looks daily at a p of one look would get


@pytest.mark.slow
def test_a_variant_that_is_better_is_found() -> None:
    found = [reached(simulated(np.random.default_rng(seed), 2500, 0.1), 0.05)[0] for seed in range(100)]
    assert np.mean(found) > 0.9


def test_the_bound_and_the_p_agree_on_whether_a_difference_is_shown() -> None:
    for error in (0.001, 0.01, 0.05):
        bound = sequential.radius(error, 0.02, ALPHA)
        just = [sequential.log_ratio(bound * factor, error, 0.02) for factor in (0.999, 1.001)]
        assert math.exp(-just[0]) > ALPHA > math.exp(-just[1])


def test_the_bound_is_that_of_robbins_normal_mixture_as_howard_and_others_print_it() -> None:
    # √((V + ρ) log((V + ρ) / (α² ρ))) bounds a sum of intrinsic variance V; here V = 1 / e² and ρ = 1 / τ².
    error, effect = 0.013, 0.02
    v, rho = error**-2, effect**-2
    bound = math.sqrt((v + rho) * math.log((v + rho) / (ALPHA**2 * rho)))
    assert sequential.radius(error, effect, ALPHA) == pytest.approx(bound / v)


def test_the_effect_that_was_planned_gives_nearly_the_narrowest_bound_where_it_is_needed() -> None:
    error = 0.02 / 3.9  # as many people as an effect of 0.02 needs
    narrowest = min(sequential.radius(error, effect, ALPHA) for effect in np.geomspace(0.001, 1, 400))
    assert sequential.radius(error, 0.02, ALPHA) <= 1.01 * narrowest


def test_what_was_shown_once_stays_shown() -> None:
    assert sequential.always_valid([0.0, 4.0, 0.5, -2.0]).tolist() == [1.0, *[pytest.approx(math.exp(-4))] * 3]


def test_an_unknown_spread_shows_nothing() -> None:
    for error in (0.0, math.inf, math.nan):
        assert sequential.log_ratio(0.5, error, 0.02) == 0.0
        assert sequential.radius(error, 0.02, ALPHA) == math.inf


def test_a_share_is_never_told_apart_from_a_coin_by_looking_after_every_throw() -> None:
    draw = np.random.default_rng(5)
    wrong = 0
    for _ in range(SEEDS):
        won = np.cumsum(draw.integers(0, 2, 400))
        lost = np.arange(1, 401) - won
        wrong += any(
            sequential.log_ratio_of_share(int(won[n]), int(lost[n]), 0.1) >= math.log(1 / ALPHA)
            for n in range(0, 400, 5)
        )
    assert wrong / SEEDS <= ALPHA + 2 * math.sqrt(ALPHA * (1 - ALPHA) / SEEDS)


def test_the_interval_of_a_share_holds_what_the_test_does_not_refuse() -> None:
    low, high = sequential.share_interval(60, 40, 0.1, ALPHA)
    assert low < 0.6 < high
    for share, edge in ((low, 1e-6), (high, -1e-6)):
        outside, inside = (sequential.log_ratio_of_share(60, 40, 0.1, share + step) for step in (-edge, edge))
        assert outside > math.log(1 / ALPHA) > inside
    assert sequential.share_interval(0, 0, 0.1, ALPHA) == (0.0, 1.0)
    assert sequential.share_interval(0, 30, 0.1, ALPHA)[0] == 0.0
    assert sequential.share_interval(30, 0, 0.1, ALPHA)[1] == 1.0


def test_the_mixture_of_shares_is_the_integral_that_it_stands_for() -> None:
    from scipy.integrate import quad
    from scipy.stats import beta, binom

    a = sequential.concentration(0.1)
    assert beta(a, a).std() == pytest.approx(0.1)
    integral, _ = quad(lambda p: beta(a, a).pdf(p) * binom.pmf(13, 20, p), 0, 1)
    ratio = math.exp(sequential.log_ratio_of_share(13, 7, 0.1))
    assert ratio == pytest.approx(integral / binom.pmf(13, 20, 0.5))
