"""A difference is called significant where scipy calls it so, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import bootstrap, permutation_test

from training.evaluation.significance import Doubles, compare, interval, mcnemar, permutation

DRAW = np.random.default_rng(1)
FIRST = DRAW.random(80)
OTHER = FIRST + DRAW.normal(0.05, 0.15, 80)


def test_mcnemar_is_the_exact_binomial_test_of_the_queries_that_changed() -> None:
    first = np.array([1.0] * 30 + [0.0] * 12 + [1.0] * 3)
    other = np.array([1.0] * 30 + [1.0] * 12 + [0.0] * 3)
    below = sum([1, 15, 105, 455])  # of 15 changes at most 3 for the worse, of 2**15 ways
    assert mcnemar(first, other) == pytest.approx(2 * below / 2**15)
    assert compare(first, other).test == "mcnemar"
    assert compare(first, other).difference == pytest.approx(9 / 45)


def test_the_permutation_test_agrees_with_scipy() -> None:
    expected = permutation_test(
        (FIRST, OTHER), lambda a, b, axis: (b - a).mean(axis=axis), permutation_type="samples", n_resamples=20_000,
        vectorized=True, rng=np.random.default_rng(2),
    ).pvalue  # fmt: skip
    assert 0.001 < expected < 0.2
    assert permutation(OTHER - FIRST) == pytest.approx(expected, abs=0.01)
    assert compare(FIRST, OTHER).test == "permutation"


def test_the_interval_agrees_with_scipy() -> None:
    expected = bootstrap(
        (OTHER - FIRST,), np.mean, n_resamples=5000, method="percentile", rng=np.random.default_rng(3)
    ).confidence_interval
    assert interval(OTHER - FIRST) == pytest.approx((expected.low, expected.high), abs=0.004)


@pytest.mark.parametrize("values", [np.zeros(9), FIRST])
def test_an_encoder_does_not_differ_from_itself(values: Doubles) -> None:
    same = compare(values, values)
    assert (same.difference, same.low, same.high, same.p) == (0, 0, 0, 1)


def test_chance_alone_is_called_significant_as_often_as_the_level_says() -> None:
    draw = np.random.default_rng(4)
    found = [permutation(draw.normal(0, 1, 40), seed) < 0.05 for seed in range(100)]
    assert np.mean(found) <= 0.1
