"""Experiments on invented people, repeated: how often a planted better variant is found, and how often nothing is.

Variants are orders of the same hits. The better one has the MOVED hits of each query that most people mean at its top,
the worse one at its end. Equals are two variants in which neighbours have changed places at random, for
each person anew: they show different orders, and neither is better. People join over two weeks, come back as often as
they like, and somebody looks each day.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from malgil import Hit
from malgil._interleaving import team_draft

from benchmarks.loop.clicks import SHOWN, choose, luck
from benchmarks.loop.people import QUERIES, SETS, Person
from benchmarks.loop.world import World
from feedback.experiments import comparison
from feedback.experiments.comparison import Settings
from feedback.experiments.preference import Choices
from feedback.experiments.sessions import Sessions

Ints = npt.NDArray[np.int64]
Result = comparison.Preferred | comparison.Compared
DAYS = 14
COPIES = 40  # of variants that are equal
MOVED = 2
LEAST_PEOPLE = 50  # in each arm, before a look counts
KEYS = SETS["typed"]


@dataclass(frozen=True)
class Variant:
    """A variant: what it shows for each query of KEYS, in one copy or several.

    Attributes:
        lists: [copy][query], ids, best first.
        hits: the same as the client's hits.
    """

    lists: list[list[list[int]]]
    hits: list[list[tuple[Hit, ...]]]

    @classmethod
    def of(cls, lists: list[list[list[int]]]) -> Variant:
        """A variant of the ids of each copy and query."""
        return cls(lists, [[tuple(Hit(id, "", "", 0.0, "") for id in ids) for ids in copy] for copy in lists])


Pair = tuple[Variant, Variant]
Trial = Callable[[Sequence[Person], int, Pair, int], Result]  # people, how many visit, the variants, the seed


def planted(world: World, people: Sequence[Person]) -> Pair:
    """The worse variant and the better one."""
    shown = [one.ids for one in world.rank(KEYS)]
    worse, better = [], []
    for query, ids in zip(KEYS, shown, strict=True):
        meant = dict(zip(QUERIES[query], np.mean([one.means[query] for one in people], axis=0).tolist(), strict=True))
        front = sorted(ids, key=lambda id: -meant.get(id, 0.0))[:MOVED]
        others = [id for id in ids if id not in front]
        worse.append(others + front)
        better.append(front + others)
    return Variant.of([worse]), Variant.of([better])


def equals(world: World, seed: int) -> Pair:
    """Two variants that are equal, and show different orders."""
    draw = np.random.default_rng(seed)
    shown = [one.ids for one in world.rank(KEYS)]
    made = Variant.of([[_swapped(ids, draw) for ids in shown] for _ in range(COPIES)])
    return made, made


def _swapped(ids: Sequence[int], draw: np.random.Generator) -> list[int]:
    found = list(ids)
    for at in range(len(found) - 1):
        if draw.random() < 0.5:
            found[at], found[at + 1] = found[at + 1], found[at]
    return found


@dataclass(frozen=True)
class Rates:
    """What experiments of one kind found.

    Attributes:
        experiments: how many.
        first: how many found the first variant better, by any day.
        second: the second.
        people: mean people in one: with a search, or of interleaving with a preference.
        days: mean day of the decision, from 1, of those that found something.
        effect: the mean difference, second less first: of MRR, or of the share of people from one half.
    """

    experiments: int
    first: int
    second: int
    people: float
    days: float
    effect: float


@dataclass(frozen=True)
class Visits:
    """Who searches for what on which day, one row for each search."""

    person: Ints
    day: Ints
    query: Ints
    intent: Ints

    @classmethod
    def draw(cls, people: Sequence[Person], count: int, draw: np.random.Generator) -> Visits:
        """The searches of `count` people, each as one of `people` is: some join late, and some search often."""
        alike = draw.integers(0, len(people), count)
        joined = draw.integers(0, DAYS, count)
        often = draw.gamma(0.7, 0.7, count) + 0.05  # searches a day, and few people search most
        times = draw.poisson(often[:, np.newaxis] * (np.arange(DAYS) >= joined[:, np.newaxis]))
        person, day = (column.repeat(times.ravel()) for column in np.indices(times.shape).reshape(2, -1))
        types, means, ids = _tables(people)
        at = alike[person]
        query = (draw.random(len(at))[:, np.newaxis] > types[at]).sum(axis=1)
        place = (draw.random(len(at))[:, np.newaxis] > means[at, query]).sum(axis=1)
        return cls(person, day, query, ids[query, place])

    def rows(self) -> zip[tuple[int, int, int, int]]:
        """(person, day, query, intent) of each search."""
        return zip(self.person.tolist(), self.day.tolist(), self.query.tolist(), self.intent.tolist(), strict=True)


def _tables(people: Sequence[Person]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], Ints]:
    """Cumulated shares of queries [P, Q], and of meanings [P, Q, M], less their last, which is 1; ids [Q, M]."""
    most = max(len(QUERIES[query]) for query in KEYS)
    means = np.ones((len(people), len(KEYS), most))
    ids = np.zeros((len(KEYS), most), dtype=np.int64)
    for place, query in enumerate(KEYS):
        count = len(QUERIES[query])
        ids[place, :count] = QUERIES[query]
        means[:, place, : count - 1] = np.cumsum([one.means[query] for one in people], axis=1)[:, :-1]
    return np.cumsum([one.types for one in people], axis=1)[:, :-1], means[:, :, :-1], ids


def interleaved(people: Sequence[Person], count: int, pair: Pair, seed: int) -> comparison.Preferred:
    """One experiment of team-draft interleaving, drafted as the client does and read as `feedback compare` does."""
    draw = np.random.default_rng(seed)
    visits = Visits.draw(people, count, draw)
    copies = _copies(count, pair, draw)
    chances, coins = luck(draw, len(visits.day)), draw.integers(0, 2, (len(visits.day), SHOWN)).tolist()
    rows = []
    for chance, coin, (who, day, query, intent) in zip(chances, coins, visits.rows(), strict=True):
        a, b = (one.hits[copy[who]][query] for one, copy in zip(pair, copies, strict=True))
        hits = _drafted(a, b, coin)
        place = choose([hit.id for hit in hits], intent, chance)
        if place is not None:
            rows.append((who, day, int(hits[place].team == "b")))
    person, days, team = np.array(rows, dtype=np.int64).reshape(-1, 3).T
    return comparison.prefer(Choices(("a", "b"), person, days, team, len(visits.day)), Settings())


def _drafted(a: Sequence[Hit], b: Sequence[Hit], coins: Sequence[int]) -> tuple[Hit, ...]:
    thrown = iter(coins)
    return team_draft(a, b, lambda: bool(next(thrown)))


def split(people: Sequence[Person], count: int, pair: Pair, seed: int) -> comparison.Compared:
    """One A/B experiment, half of the people in each arm: its MRR, read as `python -m feedback compare` does."""
    draw = np.random.default_rng(seed)
    visits = Visits.draw(people, count, draw)
    copies = _copies(count, pair, draw)
    arm = draw.integers(0, 2, count)
    rank = []
    for chance, (who, _, query, intent) in zip(luck(draw, len(visits.day)), visits.rows(), strict=True):
        place = choose(pair[arm[who]].lists[copies[arm[who]][who]][query], intent, chance)
        rank.append(0 if place is None else place + 1)
    ranks = np.array(rank, dtype=np.int64)
    sessions = Sessions(("a", "b"), visits.person, arm[visits.person], visits.day, ranks, np.minimum(ranks, 1))
    (mrr,) = comparison.compare(sessions, Settings(least_people=LEAST_PEOPLE), metrics=["mrr"])
    return mrr


def rates(found: Sequence[Result]) -> Rates:
    """What these experiments found together."""
    decided = [one for one in found if one.decided_on is not None]
    second = sum(_effect(one) > 0 for one in decided)
    days = float(np.mean([one.decided_on or 0 for one in decided])) + 1 if decided else float("nan")
    effect = float(np.mean([_effect(one) for one in found]))
    people = float(np.mean([_people(one) for one in found]))
    return Rates(len(found), len(decided) - second, second, people, days, effect)


def _copies(count: int, pair: Pair, draw: np.random.Generator) -> list[list[int]]:
    """Each person's copy of both variants."""
    return [draw.integers(0, len(one.lists), count).tolist() for one in pair]


def _effect(one: Result) -> float:
    return one.share - 0.5 if isinstance(one, comparison.Preferred) else one.difference


def _people(one: Result) -> int:
    return one.signs.first + one.signs.second if isinstance(one, comparison.Preferred) else one.people
