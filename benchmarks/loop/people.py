"""Invented people: what each types, and what each means by it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from benchmarks.loop.habits import HABITS, MENUS, TYPED, UNTYPED

Doubles = npt.NDArray[np.float64]

PREFERENCE = 12.0  # how much likelier a service of the habit is meant than another
MENU = 4.0  # the same of a menu
SPREAD = 2.0  # shape of the gamma that each person's own weights are drawn from: lower is more individual
QUERIES = {**TYPED, **UNTYPED}
SETS = {"typed": tuple(TYPED), "untyped": tuple(UNTYPED)}


@dataclass(frozen=True)
class Person:
    """An invented person.

    Attributes:
        number: from 0, also the seed of what is drawn for this person.
        habit: of HABITS.
        means: query → the probability of each of its meanings, in the order of QUERIES[query].
        types: the probability of each query of TYPED, in that order. People repeat themselves (Teevan, Adar, Jones and
            Potts 2007, "Information Re-Retrieval", SIGIR): 1 / place in an order of the person's own (Zipf).
    """

    number: int
    habit: str
    means: Mapping[str, Doubles]
    types: Doubles

    def query(self, draw: np.random.Generator) -> str:
        """What is typed next."""
        return SETS["typed"][_drawn(self.types, draw)]

    def intent(self, query: str, draw: np.random.Generator) -> int:
        """The id of the service that is meant this time."""
        return QUERIES[query][_drawn(self.means[query], draw)]

    def weights(self, queries: str) -> Doubles:
        """How much each query of a set counts for this person: as often as it is typed, or all alike."""
        count = len(SETS[queries])
        return self.types if queries == "typed" else np.full(count, 1 / count)


def invent(count: int, seed: int) -> list[Person]:
    """So many people, the habits in turn: each with weights of its own around those of the habit.

    The weight of a meaning is PREFERENCE for a service of the habit, MENU for a menu and 1 for another, times a gamma
    of mean 1.
    """
    found = []
    names = list(HABITS)
    for number in range(count):
        draw = np.random.default_rng((seed, number))
        habit = names[number % len(names)]
        means = {query: _weights(habit, ids, draw) for query, ids in QUERIES.items()}
        types = 1 / (1 + draw.permutation(len(TYPED)))
        found.append(Person(number, habit, means, types / types.sum()))
    return found


def _weights(habit: str, ids: Sequence[int], draw: np.random.Generator) -> Doubles:
    weights = np.array([PREFERENCE if id in HABITS[habit] else MENU if id in MENUS else 1.0 for id in ids])
    weights *= draw.gamma(SPREAD, 1 / SPREAD, len(ids))
    shares: Doubles = weights / weights.sum()
    return shares


def _drawn(shares: Doubles, draw: np.random.Generator) -> int:
    return min(int(np.searchsorted(shares.cumsum(), draw.random(), side="right")), len(shares) - 1)


def best_possible(people: Sequence[Person], queries: str) -> float:
    """Recall@1 of somebody who knows what each person means most by each query of a set."""
    return float(
        np.mean([one.weights(queries) @ [one.means[query].max() for query in SETS[queries]] for one in people])
    )
