"""Experiments on invented people, repeated: how often a planted better variant is found, and how often nothing is.

Variants are rankings of the same queries. The better one is the search as it is; the worse one has noise added to the
embedding of each query. Equals are two variants with noise of the same size, drawn for each person: they show different
hits, and neither is better. People join over two weeks, come back as often as they like, and somebody looks each day.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from malgil import Hit
from malgil._interleaving import team_draft

from benchmarks.loop.clicks import SHOWN, choose
from benchmarks.loop.habits import TYPED
from benchmarks.loop.people import QUERIES, Person
from benchmarks.loop.world import Shown, World
from feedback.experiments import comparison
from feedback.experiments.comparison import Settings
from feedback.experiments.preference import Choices
from feedback.experiments.sessions import Sessions

Ints = npt.NDArray[np.int64]
DAYS = 14
COPIES = 40  # of a variant with noise, each drawn anew
LEAST_PEOPLE = 50  # in each arm, before a look counts
KEYS = [*TYPED]
Result = comparison.Preferred | comparison.Compared


@dataclass(frozen=True)
class Variant:
    """A variant: what it shows for each query of KEYS, in one or several copies.

    Attributes:
        lists: [copy][query], ids, best first.
        hits: the same as the client's hits.
    """

    lists: list[list[list[int]]]
    hits: list[list[tuple[Hit, ...]]]

    @classmethod
    def of(cls, lists: Sequence[Sequence[Shown]]) -> Variant:
        """A variant of the hits of each copy and query."""
        ids = [[one.ids for one in copy] for copy in lists]
        return cls(ids, [[tuple(Hit(id, "", "", 0.0, "") for id in each) for each in copy] for copy in ids])


Pair = Callable[[np.random.Generator], tuple[Variant, Variant]]  # draws the two variants of an experiment
Trial = Callable[[Sequence[Person], int, Pair, int], Result]  # people, how many visit, the variants, the seed


def variant(world: World, noise: float, seed: int, copies: int = COPIES) -> Variant:
    """A variant with so much noise (its length beside the embedding's, which is 1) in each query's embedding."""
    if not noise:
        return Variant.of([world.rank(KEYS)])
    draw = np.random.default_rng(seed)
    size = noise / np.sqrt(world.dimension)
    return Variant.of(
        [world.rank(KEYS, noise=draw.normal(0, size, (len(KEYS), world.dimension)).astype(np.float32))
         for _ in range(copies)]
    )  # fmt: skip


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
        query = draw.integers(0, len(KEYS), len(person))
        luck = draw.random(len(person))
        intent = [
            QUERIES[KEYS[of]][
                int(min(np.searchsorted(people[who].means[KEYS[of]].cumsum(), one), len(QUERIES[KEYS[of]]) - 1))
            ]
            for who, of, one in zip(alike[person].tolist(), query.tolist(), luck.tolist(), strict=True)
        ]
        return cls(person, day, query, np.array(intent, dtype=np.int64))


def interleaved(people: Sequence[Person], count: int, pair: Pair, seed: int) -> comparison.Preferred:
    """One experiment of team-draft interleaving, drafted as the client does and read as `feedback compare` does."""
    draw = np.random.default_rng(seed)
    visits = Visits.draw(people, count, draw)
    first, second = pair(draw)
    copies = _copies(count, (first, second), draw)
    rows = []
    for who, day, query, intent in zip(*(c.tolist() for c in _columns(visits)), strict=True):
        a, b = first.hits[copies[0][who]][query], second.hits[copies[1][who]][query]
        hits = team_draft(a, b, lambda: bool(draw.integers(2)))
        place = choose([hit.id for hit in hits], intent, draw)
        if place is not None:
            rows.append((who, day, int(hits[place].team == "b")))
    columns = np.array(rows, dtype=np.int64).reshape(-1, 3).T
    return comparison.prefer(Choices(("a", "b"), *columns, searches=len(visits.day)), Settings())


def split(people: Sequence[Person], count: int, pair: Pair, seed: int) -> comparison.Compared:
    """One A/B experiment, half of the people in each arm: its MRR, read as `python -m feedback compare` does."""
    draw = np.random.default_rng(seed)
    visits = Visits.draw(people, count, draw)
    variants = pair(draw)
    copies = _copies(count, variants, draw)
    arm = draw.integers(0, 2, count)
    rank = []
    for who, _, query, intent in zip(*(c.tolist() for c in _columns(visits)), strict=True):
        shown = variants[arm[who]].lists[copies[arm[who]][who]][query]
        place = choose(shown[:SHOWN], intent, draw)
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
    return Rates(
        len(found), len(decided) - second, second, float(np.mean([_people(one) for one in found])), days, effect
    )


def equals(variants: Variant) -> Pair:
    """Two variants that are equal and show different hits: each person's copies are drawn from the same."""
    return lambda draw: (variants, replace(variants))


def planted(worse: Variant, better: Variant) -> Pair:
    """The worse variant first."""
    return lambda draw: (worse, better)


def _columns(visits: Visits) -> tuple[Ints, Ints, Ints, Ints]:
    return visits.person, visits.day, visits.query, visits.intent


def _copies(count: int, variants: tuple[Variant, Variant], draw: np.random.Generator) -> list[list[int]]:
    """Each person's copy of both variants."""
    return [draw.integers(0, len(one.lists), count).tolist() for one in variants]


def _effect(one: Result) -> float:
    return one.share - 0.5 if isinstance(one, comparison.Preferred) else one.difference


def _people(one: Result) -> int:
    return one.signs.first + one.signs.second if isinstance(one, comparison.Preferred) else one.people
