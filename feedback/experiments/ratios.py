"""Ratios of sums over people, and the difference of two, with the variance that people who search often leave.

A metric of an arm is R = Σ y / Σ x over its people, such as first hits chosen over searches. Searches of one person are
alike, so the person is the unit, not the search: with n people and residuals d = y - R x,

    Var(R) ≈ n / (n - 1) · Σ d² / (Σ x)²

by the delta method (Deng, Knoblich and Lu 2018, "Applying the Delta Method in Metric Analytics", KDD). Taken by search
instead, an interval is too narrow as soon as people search more than once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Ratio:
    """A metric of one arm.

    Attributes:
        value: Σ y / Σ x; NaN where Σ x is 0.
        variance: of the value; infinite for fewer than two people.
        people: those with a denominator above 0.
        count: Σ x.
    """

    value: float
    variance: float
    people: int
    count: float

    @classmethod
    def of(cls, numerators: Doubles, denominators: Doubles) -> Ratio:
        """The ratio over people, [n] each; those without a denominator do not count.

        >>> one = Ratio.of(np.array([1.0, 0, 2, 0]), np.array([1.0, 1, 3, 0]))
        >>> one.value, one.people, round(one.variance, 4)
        (0.6, 3, 0.0336)
        """
        counted = denominators > 0
        y, x = numerators[counted], denominators[counted]
        total, n = float(x.sum()), len(x)
        if not n:
            return cls(math.nan, math.inf, 0, 0.0)
        value = float(y.sum()) / total
        residuals = y - value * x
        variance = n / (n - 1) * float(residuals @ residuals) / total**2 if n > 1 else math.inf
        return cls(value, variance, n, total)

    @property
    def unit_variance(self) -> float:
        """The variance of one person's share: n people have a ratio of variance `unit_variance` / n."""
        return self.variance * self.people


@dataclass(frozen=True)
class Difference:
    """The difference of a metric, an arm less the control.

    Attributes:
        value: NaN where an arm has none.
        error: its standard error; 0 or infinite where it cannot be told.
    """

    value: float
    error: float

    @classmethod
    def of(cls, control: Ratio, other: Ratio) -> Difference:
        """The difference of two arms that share no person."""
        return cls(other.value - control.value, math.sqrt(control.variance + other.variance))

    @property
    def is_known(self) -> bool:
        """Whether both arms have people who differ."""
        return math.isfinite(self.value) and 0 < self.error < math.inf

    def interval(self, level: float) -> tuple[float, float]:
        """The confidence interval for one look, at an end that was planned."""
        from scipy.stats import norm

        if not self.is_known:
            return -math.inf, math.inf
        low, high = norm.interval(level, self.value, self.error)
        return float(low), float(high)

    def p(self) -> float:
        """The two-sided p of one look, at an end that was planned."""
        from scipy.stats import norm

        return float(2 * norm.sf(abs(self.value) / self.error)) if self.is_known else 1.0
