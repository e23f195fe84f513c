"""The preference that interleaving shows: whose hits people choose, one sign for each person.

In a list drafted by two teams (Radlinski, Kurup and Joachims 2008, "How Does Clickthrough Data Reflect Retrieval
Quality?", CIKM) each choice is a point for the team of the hit. Choices of one person are alike, so a person counts
once: for the team with more of their points, or for none in a tie. Without a difference each sign is a fair coin.

- At a planned end: the exact sign test over all choices.
- Looked at daily: a person enters with the sign of the first day on which they are not tied, and keeps it. So signs are
  independent, and the beta-binomial mixture of `sequential` is exact, whoever searches how often.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from feedback.experiments import sequential

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Choices:
    """Choices among interleaved hits, one row each, in no order.

    Attributes:
        arms: the names of the two teams.
        person: [n], a person's number; a choice without a person has one of its own.
        day: [n], days since 1970 (UTC).
        team: [n], place in `arms`.
        searches: how many searches were interleaved, with a choice or without.
    """

    arms: tuple[str, str]
    person: Ints
    day: Ints
    team: Ints
    searches: int = 0


@dataclass(frozen=True)
class Signs:
    """People by the team that they prefer.

    Attributes:
        first: people with more choices of the first arm's hits.
        second: of the second's.
        tied: with as many of both.
    """

    first: int
    second: int
    tied: int = 0

    @classmethod
    def of(cls, choices: Choices) -> Signs:
        """The signs over all choices of each person."""
        people, place = np.unique(choices.person, return_inverse=True)
        points = np.bincount(place, 2.0 * choices.team - 1, minlength=len(people))
        return cls(int(np.sum(points < 0)), int(np.sum(points > 0)), int(np.sum(points == 0)))

    @property
    def share(self) -> float:
        """The share of the second arm among people with a preference; NaN without any."""
        decided = self.first + self.second
        return self.second / decided if decided else math.nan

    def test(self, level: float) -> tuple[float, float, float]:
        """The exact sign test at a planned end: p, and the interval of the share (Clopper and Pearson 1934)."""
        from scipy.stats import binomtest

        decided = self.first + self.second
        if not decided:
            return 1.0, 0.0, 1.0
        found = binomtest(self.second, decided)
        interval = found.proportion_ci(level, method="exact")
        return float(found.pvalue), float(interval.low), float(interval.high)


def by_day(choices: Choices) -> tuple[Ints, list[Signs]]:
    """The days with choices, and the signs that have entered the sequential test by the end of each.

    A person's points are counted from the first day on; the sign enters on the first day that does not end in a tie.
    """
    days = np.unique(choices.day)
    people, place = np.unique(choices.person, return_inverse=True)
    points, signs = np.zeros(len(people)), np.zeros(len(people), dtype=np.int64)
    found = []
    for day in days.tolist():
        today = choices.day == day
        points += np.bincount(place[today], 2.0 * choices.team[today] - 1, minlength=len(people))
        entering = (signs == 0) & (points != 0)
        signs[entering] = np.sign(points[entering]).astype(np.int64)
        seen = np.bincount(place[choices.day <= day], minlength=len(people)) > 0
        counts = [int(np.sum(signs == sign)) for sign in (-1, 1)]
        found.append(Signs(counts[0], counts[1], int(np.sum(seen & (signs == 0)))))
    return days, found


def always_valid(signs: list[Signs], effect: float) -> list[float]:
    """The always-valid p after each look; `effect` is how far from 0.5 the share is expected."""
    ratios = [sequential.log_ratio_of_share(one.second, one.first, effect) for one in signs]
    return [float(p) for p in sequential.always_valid(ratios)]
