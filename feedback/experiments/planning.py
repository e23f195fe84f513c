"""How many people and searches an experiment needs to find an effect, if it is there.

    people = v (z(1 - α/2) + z(power))² / (δ² s (1 - s))

with v the variance of one person's share of the metric, δ the effect and s the share of people in the second arm
(Chow, Shao and Wang 2008, "Sample Size Calculations in Clinical Research", chapter 4). v comes from events, by the
delta method, or from the variance σ² of a single search, m searches by each person and their correlation ρ:

    v = σ² (1 + (m - 1) ρ) / m

(Kish 1965). If it is looked at daily, an experiment needs more: as many as bring the effect over the bound of the last
look with that power, which is on the safe side, for most experiments are over before. With τ = δ the number of standard
errors r that the effect must be follows from α and the power alone:

    r - √((1 + 1/r²) (log(1 + r²) + 2 log(1/α))) = z(power)

which is 3.9 for α 0.05 and power 0.8, beside 2.8 for one look: 1.9 times as many people.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from feedback.experiments import sequential

SAW = 10  # numbers of people in a row that must do, for a test of whole people


@dataclass(frozen=True)
class Plan:
    """How an experiment is read.

    Attributes:
        alpha: the probability of finding something where nothing is.
        power: the probability of finding the effect where it is.
        share: of people in the second arm.
        once: read once, at the end, instead of daily.
    """

    alpha: float = 0.05
    power: float = 0.8
    share: float = 0.5
    once: bool = False

    def standard_errors(self) -> float:
        """How many standard errors the effect must be, to be found with this power."""
        from scipy.optimize import brentq
        from scipy.stats import norm

        reached = float(norm.ppf(self.power))
        if self.once:
            return float(norm.ppf(1 - self.alpha / 2)) + reached
        found: float = brentq(lambda r: r - r * sequential.radius(1 / r, 1.0, self.alpha) - reached, 0.5, 100)
        return found

    def people(self, variances: tuple[float, float], effect: float) -> int:
        """People in both arms together.

        Chow, Shao and Wang's example: 0.65 against 0.85, with power 0.8, needs 70 people in each arm.

        >>> Plan(once=True).people((0.65 * 0.35, 0.85 * 0.15), 0.20)
        140

        Args:
            variances: of one person's share, in the control and in the second arm.
            effect: the difference to be found.
        """
        first, second = variances
        needed = (self.standard_errors() / effect) ** 2
        smaller = min(self.share, 1 - self.share)
        total = needed * (first / (1 - self.share) + second / self.share)
        return math.ceil(math.ceil(total * smaller - 1e-9) / smaller - 1e-9)

    def deciding_people(self, effect: float) -> int:
        """People with a preference that interleaving needs, where the second arm's share is 0.5 + `effect`.

        Exact: the binomial power of the test itself, from this number of people on.
        """
        high = 1
        while self.power_of_signs(high, effect) < self.power:
            high *= 2
        low = high // 2
        while high - low > 1:  # nearly: whole people make the power rise in a saw
            middle = (low + high) // 2
            low, high = (middle, high) if self.power_of_signs(middle, effect) < self.power else (low, middle)
        holds = 0
        while holds < SAW:
            holds = holds + 1 if self.power_of_signs(high + holds, effect) >= self.power else 0
            high += not holds
        return high

    def power_of_signs(self, people: int, effect: float) -> float:
        """The power of so many people with a preference."""
        from scipy.stats import binom

        share = 0.5 + effect
        if self.once:
            lost = int(binom.ppf(self.alpha / 2, people, 0.5))
            lost -= binom.cdf(lost, people, 0.5) > self.alpha / 2
            return float(binom.cdf(lost, people, share) + binom.sf(people - lost - 1, people, share))
        low, high = people // 2, people + 1  # the fewest that must have won, by bisection
        while high - low > 1:
            won = (low + high) // 2
            shown = sequential.log_ratio_of_share(won, people - won, effect) >= math.log(1 / self.alpha)
            low, high = (low, won) if shown else (won, high)
        return float(binom.sf(high - 1, people, share))


def person_variance(of_search: float, searches: float, correlation: float) -> float:
    """The variance of one person's share, from that of a single search.

    >>> person_variance(of_search=0.25, searches=5, correlation=0.1)
    0.07
    """
    return of_search * (1 + (searches - 1) * correlation) / searches
