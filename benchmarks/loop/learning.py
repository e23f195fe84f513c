"""Invented people choose, and each way of learning from it is measured after so many choices of each person.

Each way is simulated by itself: what it shows decides what is chosen, so what it learns. All ways have the same people
with the same luck. Figures are expected values over what a person may mean by each query, not further draws.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import malgil
import numpy as np
import numpy.typing as npt

from benchmarks.loop.clicks import choose, luck
from benchmarks.loop.people import QUERIES, SETS, Person
from benchmarks.loop.world import Shown, World

Doubles = npt.NDArray[np.float64]
CHOICES = (0, 5, 20, 100)  # of each person, when figures are taken
MOST_SEARCHES = 3000  # of a person who finds too little to come to so many choices
FIGURES = ("recall@1", "mrr")


class Method(Protocol):
    """A way of ordering hits that may learn from choices."""

    def lists(self, people: Sequence[int], queries: Sequence[str]) -> list[Shown]:
        """What these people, by number, are shown for their queries."""

    def chose(self, person: int, query: str, shown: Shown, place: int) -> None:
        """Learn from a choice."""


class Nothing:
    """The search as it is: nothing is learned."""

    def __init__(self, world: World) -> None:
        self._world = world

    def lists(self, people: Sequence[int], queries: Sequence[str]) -> list[Shown]:
        """The same for everybody."""
        return self._world.rank(queries)

    def chose(self, person: int, query: str, shown: Shown, place: int) -> None:
        """Nothing."""


class Popularity:
    """The same hits, those that were chosen most for the query first.

    Args:
        world: the search.
        of: person → whose choices are counted together: everybody's by a constant, each person's own by the number.
    """

    def __init__(self, world: World, of: Callable[[int], int]) -> None:
        self._world, self._of = world, of
        self._counts: defaultdict[tuple[int, str], Counter[int]] = defaultdict(Counter)

    def lists(self, people: Sequence[int], queries: Sequence[str]) -> list[Shown]:
        """Hits by the number of choices, equals as the search has them."""
        found = []
        for person, query, shown in zip(people, queries, self._world.rank(queries), strict=True):
            counts = self._counts[self._of(person), query]
            found.append(shown.reordered(sorted(range(len(shown.ids)), key=lambda at: -counts[shown.ids[at]])))
        return found

    def chose(self, person: int, query: str, shown: Shown, place: int) -> None:
        """Count it."""
        self._counts[self._of(person), query][shown.ids[place]] += 1


class Personal:
    """A personal layer for each person, as the client keeps it and the server applies it.

    Args:
        world: the search.
        start: makes the layer that a person begins with.
    """

    def __init__(self, world: World, start: Callable[[], malgil.PersonalLayer]) -> None:
        self._world, self._start = world, start
        self.layers: dict[int, malgil.PersonalLayer] = {}
        self.after: dict[tuple[int, int], malgil.PersonalLayer] = {}  # (person, choices) → the layer then
        self._choices: Counter[int] = Counter()

    def lists(self, people: Sequence[int], queries: Sequence[str]) -> list[Shown]:
        """Hits by each person's layer."""
        return self._world.rank(queries, np.stack([self._layer(person).vector for person in people]))

    def chose(self, person: int, query: str, shown: Shown, place: int) -> None:
        """Learn on the device."""
        vectors = self._world.vector(query), self._world.phrases(shown)
        layer = self._layer(person).learn(*vectors, place, scores=shown.scores)
        self._choices[person] += 1
        if self._choices[person] in CHOICES:
            self.after[person, self._choices[person]] = malgil.PersonalLayer(layer.vector)

    def _layer(self, person: int) -> malgil.PersonalLayer:
        if person not in self.layers:
            self.layers[person] = self._start()
        return self.layers[person]


@dataclass
class Curve:
    """What people find after so many choices.

    Attributes:
        values: (set of queries, choices, figure) → a value for each person.
        searches: of all people together, until the last choice.
        unfinished: people who did not come to so many choices.
    """

    values: dict[tuple[str, int, str], Doubles] = field(default_factory=dict)
    searches: int = 0
    unfinished: int = 0

    def mean(self, queries: str, choices: int, figure: str) -> float:
        """The mean over people."""
        return float(np.nanmean(self.values[queries, choices, figure]))


def simulate(
    people: Sequence[Person], method: Method, seed: int, counts: Sequence[int] = CHOICES, measured: bool = True
) -> Curve:
    """People search until each has chosen max(counts) times, and are measured on the way.

    A step is one search of everybody who is not done, so that what is learned of all grows evenly.

    Args:
        people: who search.
        method: what orders their hits.
        seed: of their luck.
        counts: choices of a person after which figures are taken.
        measured: whether they are; without, people only search and choose.
    """
    curve = Curve({(queries, count, figure): np.full(len(people), np.nan)
                   for queries in SETS for count in counts for figure in FIGURES})  # fmt: skip
    chosen = np.zeros(len(people), dtype=np.int64)
    if measured and 0 in counts:
        _measure(curve, people, range(len(people)), 0, method)
    for step in range(MOST_SEARCHES):
        active = np.flatnonzero(chosen < max(counts)).tolist()
        if not active:
            break
        draws = [np.random.default_rng((seed, people[at].number, step)) for at in active]
        queries = [people[at].query(draw) for at, draw in zip(active, draws, strict=True)]
        intents = [people[at].intent(query, draw) for at, query, draw in zip(active, queries, draws, strict=True)]
        lists = method.lists([people[at].number for at in active], queries)
        reached: dict[int, list[int]] = defaultdict(list)
        for at, query, intent, draw, shown in zip(active, queries, intents, draws, lists, strict=True):
            place = choose(shown.ids, intent, luck(draw, 1)[0])
            if place is not None:
                method.chose(people[at].number, query, shown, place)
                chosen[at] += 1
                if measured and int(chosen[at]) in counts:
                    reached[int(chosen[at])].append(at)
        curve.searches += len(active)
        for count, places in reached.items():
            _measure(curve, people, places, count, method)
    curve.unfinished = int(np.sum(chosen < max(counts)))
    return curve


def _measure(curve: Curve, people: Sequence[Person], places: Sequence[int], count: int, method: Method) -> None:
    """Fill in the figures of these people."""
    pairs = [(at, query) for at in places for queries in SETS.values() for query in queries]
    lists = method.lists([people[at].number for at, _ in pairs], [query for _, query in pairs])
    found = {pair: _expected(people[pair[0]], pair[1], shown) for pair, shown in zip(pairs, lists, strict=True)}
    for at in places:
        for name, queries in SETS.items():
            values = people[at].weights(name) @ np.array([found[at, query] for query in queries])
            for figure, value in zip(FIGURES, values, strict=True):
                curve.values[name, count, figure][at] = value


def _expected(person: Person, query: str, shown: Shown) -> tuple[float, float]:
    """Recall@1 and MRR of a list, expected over what the person may mean."""
    share = dict(zip(QUERIES[query], person.means[query].tolist(), strict=True))
    shares = [share.get(id, 0.0) for id in shown.ids]
    return (shares[0] if shares else 0.0), sum(value / (at + 1) for at, value in enumerate(shares))
