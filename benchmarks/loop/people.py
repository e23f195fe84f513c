"""Invented people: what each means by a query, and which query comes next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from benchmarks.loop.habits import HABITS, TYPED, UNTYPED

Doubles = npt.NDArray[np.float64]

PREFERENCE = 12.0  # how much likelier a service of the habit is meant than another
SPREAD = 2.0  # shape of the gamma that each person's own weights are drawn from: lower is more individual
QUERIES = {**TYPED, **UNTYPED}


@dataclass(frozen=True)
class Person:
    """An invented person.

    Attributes:
        number: from 0, also the seed of what is drawn for this person.
        habit: of HABITS.
        means: query → the probability of each of its meanings, in the order of QUERIES[query].
    """

    number: int
    habit: str
    means: Mapping[str, Doubles]

    def intent(self, query: str, draw: np.random.Generator) -> int:
        """The id of the service that is meant this time."""
        return int(draw.choice(QUERIES[query], p=self.means[query]))


def invent(count: int, seed: int) -> list[Person]:
    """So many people, the habits in turn: each with weights of its own around those of the habit.

    The weight of a meaning is PREFERENCE for a service of the habit and 1 for another, times a gamma of mean 1.
    """
    found = []
    names = list(HABITS)
    for number in range(count):
        draw = np.random.default_rng((seed, number))
        habit = names[number % len(names)]
        found.append(Person(number, habit, {query: _weights(habit, ids, draw) for query, ids in QUERIES.items()}))
    return found


def _weights(habit: str, ids: Sequence[int], draw: np.random.Generator) -> Doubles:
    weights = np.array([PREFERENCE if id in HABITS[habit] else 1.0 for id in ids])
    weights *= draw.gamma(SPREAD, 1 / SPREAD, len(ids))
    shares: Doubles = weights / weights.sum()
    return shares


def best_possible(people: Sequence[Person], queries: Sequence[str]) -> float:
    """Recall@1 of somebody who knows what each person means most by each query."""
    return float(np.mean([one.means[query].max() for one in people for query in queries]))
