"""The search sessions of an experiment, and its metrics as sums by person.

A session is what shares a search id: all keystrokes of one search. It counts on the day when it began.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from feedback.experiments.ratios import Doubles, Ratio

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Sessions:
    """Search sessions, one row each, in no order.

    Attributes:
        arms: the names of the arms, in order.
        person: [n], a person's number; a session without a person has one of its own.
        arm: [n], place in `arms`.
        day: [n], days since 1970 (UTC).
        rank: [n], of the hit that was chosen first; 0 for none.
        searches: [n], how many searches, or keystrokes, until then; 0 for none.
        anonymous: sessions without a person.
        mixed: people who were left out because they saw several arms.
    """

    arms: tuple[str, ...]
    person: Ints
    arm: Ints
    day: Ints
    rank: Ints
    searches: Ints
    anonymous: int = 0
    mixed: int = 0

    def __len__(self) -> int:
        return len(self.person)

    def take(self, places: npt.NDArray[np.bool_]) -> Sessions:
        """The sessions at these places."""
        return replace(
            self, person=self.person[places], arm=self.arm[places], day=self.day[places], rank=self.rank[places],
            searches=self.searches[places],
        )  # fmt: skip

    def without_mixed(self) -> Sessions:
        """Without people who saw several arms: what they do says nothing about one of them."""
        people = int(self.person.max(initial=-1)) + 1
        first = np.full(people, len(self.arms), dtype=np.int64)
        last = np.full(people, -1, dtype=np.int64)
        np.minimum.at(first, self.person, self.arm)
        np.maximum.at(last, self.person, self.arm)
        kept = (first == last)[self.person]
        return replace(self.take(kept), mixed=int(np.sum(last > first)))

    def days(self) -> Ints:
        """The days with sessions, ascending."""
        return np.unique(self.day)

    def people(self) -> list[int]:
        """How many people each arm has."""
        return [len(np.unique(self.person[self.arm == arm])) for arm in range(len(self.arms))]


Column = Callable[[Sessions], Doubles]


@dataclass(frozen=True)
class Metric:
    """A metric: Σ numerator / Σ denominator over sessions.

    Attributes:
        name: as options and tables call it.
        meaning: in a few words.
        numerator: of each session.
        denominator: of each session.
        is_share: whether each session counts 0 or 1.
        higher_is_better: whether more is better.
        effect: a difference worth finding, where none is named: the τ of the sequential test.
    """

    name: str
    meaning: str
    numerator: Column
    denominator: Column
    is_share: bool
    higher_is_better: bool
    effect: float


def _all(sessions: Sessions) -> Doubles:
    return np.ones(len(sessions))


def _chosen(sessions: Sessions) -> Doubles:
    return (sessions.rank > 0).astype(np.float64)


def _reciprocal(sessions: Sessions) -> Doubles:
    return np.where(sessions.rank > 0, 1 / np.maximum(sessions.rank, 1), 0.0)


METRICS = {
    one.name: one
    for one in (
        Metric("click-through@1", "searches whose first hit was chosen", lambda s: (s.rank == 1) * 1.0, _all, True,
               True, 0.02),
        Metric("mrr", "mean of 1 / rank of the first choice, 0 without one", _reciprocal, _all, False, True, 0.02),
        Metric("abandonment", "searches that ended without a choice", lambda s: (s.rank == 0) * 1.0, _all, True, False,
               0.02),
        Metric("keystrokes", "searches until the first choice, of those with one", lambda s: s.searches * 1.0, _chosen,
               False, False, 0.2),
    )
}  # fmt: skip


@dataclass(frozen=True)
class Looks:
    """A metric's ratio of each arm after each day, from the first day on.

    Attributes:
        days: as `Sessions.days`.
        ratios: [day][arm].
    """

    days: Ints
    ratios: Sequence[Sequence[Ratio]]

    @classmethod
    def of(cls, sessions: Sessions, metric: Metric, last_only: bool = False) -> Looks:
        """The looks at an experiment: after each of its days, or only after the last."""
        days = sessions.days()[-1:] if last_only else sessions.days()
        people = int(sessions.person.max(initial=-1)) + 1
        order = np.argsort(sessions.day, kind="stable")
        ends = np.searchsorted(sessions.day[order], days, side="right")
        y, x = metric.numerator(sessions)[order], metric.denominator(sessions)[order]
        cells = (sessions.arm * people + sessions.person)[order]
        sums = np.zeros((2, len(sessions.arms) * people))
        found: list[list[Ratio]] = []
        start = 0
        for end in ends.tolist():
            part = slice(start, end)
            sums += [np.bincount(cells[part], values[part], minlength=sums.shape[1]) for values in (y, x)]
            arms = sums.reshape(2, len(sessions.arms), people)
            found.append([Ratio.of(arms[0, arm], arms[1, arm]) for arm in range(len(sessions.arms))])
            start = end
        return cls(days, found)
