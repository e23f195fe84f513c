"""Tests that stay valid however often somebody looks: of a difference of metrics, and of a share.

A p of one look says nothing once it is looked at daily: sooner or later it falls below 0.05 with nothing behind it.
Both tests here mix the likelihood ratio over the effects that may be there. Without an effect the mixture is a
martingale that starts at 1, and exceeds 1/α at any time with probability α at most (Ville 1939).

Differences: the mixture sequential probability ratio test (mSPRT) of Johari, Koomen, Pekelis and Walsh 2017, "Peeking
at A/B Tests" (KDD), on the normal approximation; inverted, Robbins' normal mixture in the form of Howard, Ramdas,
McAuliffe and Sekhon 2021, "Time-uniform, nonparametric, nonasymptotic confidence sequences" (Annals of Statistics 49),
whose use with an estimated variance is that of Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas 2024, "Time-uniform
central limit theory and asymptotic confidence sequences" (Annals of Statistics 52). With a standard error e and effects
~ N(0, τ²):

    Λ = √(e² / (e² + τ²)) · exp(d² τ² / (2 e² (e² + τ²)))        radius = e √((1 + e²/τ²) (log(1 + τ²/e²) + 2 log(1/α)))

Shares: the beta-binomial mixture of Robbins 1970 (Howard et al. 2021, proposition 7), which is exact at any size.

τ must be chosen before the data is seen. The effect that an experiment is planned for is a good one: at the number of
people that such an effect needs, its radius is within 1 % of the smallest that any τ gives.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]


def log_ratio(value: float, error: float, effect: float) -> float:
    """log Λ of a difference with this standard error; `effect` is τ. 0 where the error says nothing."""
    if not (math.isfinite(value) and 0 < error < math.inf):
        return 0.0
    variance, mixed = error**2, error**2 + effect**2
    return 0.5 * math.log(variance / mixed) + (value * effect) ** 2 / (2 * variance * mixed)


def radius(error: float, effect: float, alpha: float) -> float:
    """Half the width of the confidence sequence: with probability 1 - α the true difference is never outside.

    Beside 1.96 for one look:

    >>> round(radius(error=1.0, effect=3.0, alpha=0.05), 2)
    3.04
    """
    if not 0 < error < math.inf:
        return math.inf
    odds = (effect / error) ** 2
    return error * math.sqrt((1 + 1 / odds) * (math.log1p(odds) + 2 * math.log(1 / alpha)))


def always_valid(log_ratios: Sequence[float]) -> Doubles:
    """The p after each look, from log Λ at each: it never rises, for what was shown once stays shown.

    >>> always_valid([0.0, 3.0, 1.0]).round(3)
    array([1.  , 0.05, 0.05])
    """
    p: Doubles = np.minimum.accumulate(np.exp(-np.maximum(np.asarray(log_ratios, dtype=np.float64), 0.0)))
    return p


def concentration(effect: float) -> float:
    """The `a` of the prior Beta(a, a) of a share, whose standard deviation around 0.5 is `effect`."""
    return max((1 / (2 * effect) ** 2 - 1) / 2, 0.5)


def log_ratio_of_share(won: float, lost: float, effect: float, share: float = 0.5) -> float:
    """log Λ of a share after so many won and lost, against `share`."""
    from scipy.special import betaln

    a = concentration(effect)
    if not won + lost:
        return 0.0
    likelihood = (won and won * math.log(share)) + (lost and lost * math.log1p(-share))
    return float(betaln(won + a, lost + a) - betaln(a, a) - likelihood)


def share_interval(won: int, lost: int, effect: float, alpha: float) -> tuple[float, float]:
    """The confidence sequence of a share at this point: the shares that Λ does not speak against."""
    from scipy.optimize import brentq

    if not won + lost:
        return 0.0, 1.0
    found = won / (won + lost)
    edge = 1e-12

    def over(share: float) -> float:
        return log_ratio_of_share(won, lost, effect, share) - math.log(1 / alpha)

    low = 0.0 if not won or over(edge) <= 0 else brentq(over, edge, max(found, edge))
    high = 1.0 if not lost or over(1 - edge) <= 0 else brentq(over, min(found, 1 - edge), 1 - edge)
    return float(low), float(high)
