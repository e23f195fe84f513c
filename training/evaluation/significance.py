"""Paired tests: whether two encoders differ on the same queries by more than chance.

The queries are the sample: the tests say nothing about another seed of the training, nor about another labeller.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]
ROUNDS = 10_000
RESAMPLES = 2_000
LEVEL = 0.95
PART = 2_000_000  # numbers drawn at once: a bound on memory


@dataclass(frozen=True)
class Comparison:
    """The difference of a metric's mean from that of the first encoder.

    Attributes:
        difference: mean of this encoder less mean of the first.
        low: lower end of the 95 % interval of the difference, by the bootstrap over queries.
        high: its upper end.
        p: probability of a difference at least as large, were the two encoders equal; two-sided.
        test: `mcnemar` where each query counts 0 or 1, else `permutation`.
    """

    difference: float
    low: float
    high: float
    p: float
    test: str


def compare(first: Doubles, other: Doubles, seed: int = 0) -> Comparison:
    """Compare the values of the same queries with two encoders, [n] each."""
    differences = other - first
    is_binary = bool(np.isin(first, (0, 1)).all() and np.isin(other, (0, 1)).all())
    p = mcnemar(first, other) if is_binary else permutation(differences, seed)
    low, high = interval(differences, seed)
    return Comparison(float(differences.mean()), low, high, p, "mcnemar" if is_binary else "permutation")


def mcnemar(first: Doubles, other: Doubles) -> float:
    """p of McNemar's exact test: of the queries that only one of the two gets right, half should be each one's.

    >>> won, lost = np.array([0, 0, 0, 0, 0, 0, 1, 1]), np.array([1, 1, 1, 1, 1, 1, 1, 0])
    >>> mcnemar(won, lost)  # six won, one lost: 2 · (1 + 7) / 2**7
    0.125
    """
    from scipy.stats import binomtest

    won, lost = int(np.sum(other > first)), int(np.sum(other < first))
    return float(binomtest(won, won + lost).pvalue) if won + lost else 1.0


def permutation(differences: Doubles, seed: int = 0) -> float:
    """p of the paired permutation test: the sign of each query's difference is drawn anew, ROUNDS times."""
    kept = differences[differences != 0]
    if not len(kept):
        return 1.0
    observed = abs(kept.sum()) * (1 - 1e-12)  # another order of adding is no larger difference
    draw = np.random.default_rng(seed)
    step = max(1, PART // len(kept))
    at_least = 0
    for start in range(0, ROUNDS, step):
        signs = draw.integers(0, 2, (min(step, ROUNDS - start), len(kept)), dtype=np.int8) * 2 - 1
        at_least += int(np.sum(np.abs(signs @ kept) >= observed))
    return (at_least + 1) / (ROUNDS + 1)


def interval(differences: Doubles, seed: int = 0) -> tuple[float, float]:
    """The 95 % interval of the mean, by the percentile bootstrap."""
    draw = np.random.default_rng(seed)
    step = max(1, PART // len(differences))
    found = [
        differences[draw.integers(0, len(differences), (min(step, RESAMPLES - start), len(differences)))].mean(axis=1)
        for start in range(0, RESAMPLES, step)
    ]
    low, high = np.quantile(np.concatenate(found), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
