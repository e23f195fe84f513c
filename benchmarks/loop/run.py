"""All parts of the simulation, and their figures as JSON."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import malgil
import numpy as np
from malgil_core.catalog.reading import Catalog
from malgil_core.ranking.cpu import product_threads
from threadpoolctl import threadpool_limits

from benchmarks.loop import federation, harm, retraining, trials
from benchmarks.loop.habits import HABITS
from benchmarks.loop.learning import CHOICES, FIGURES, Curve, Method, Nothing, Personal, Popularity, simulate
from benchmarks.loop.people import SETS, Person, best_possible, invent
from benchmarks.loop.world import World
from export.catalog.labelled import Labelled
from feedback.experiments.planning import Plan
from training.evaluation.significance import interval

NOTHING, POPULARITY, OWN, LAYER, FEDERATED = (
    "nothing is learned", "popularity, of all people", "popularity, of each person", "personal layer, from zero",
    "personal layer, federated start",
)  # fmt: skip
Say = Callable[[str], None]


@dataclass(frozen=True)
class Size:
    """How much is simulated.

    Attributes:
        people: who search.
        others: who are new when the others have searched.
        seeds: runs of everything that learns.
        devices: whose updates are averaged.
        experiments: of each kind.
        visitors: people of an experiment.
        steps: of a training; 0 leaves retraining out.
    """

    people: int = 48
    others: int = 32
    seeds: int = 2
    devices: int = 1000
    experiments: int = 200
    visitors: int = 900
    steps: int = 60


def run(
    world: World, catalog: Catalog, labelled: Sequence[Labelled], size: Size, say: Say = lambda _: None
) -> dict[str, Any]:
    """Everything; figures are means over seeds, intervals over people."""
    with threadpool_limits(product_threads(world.corpus.index), user_api="blas"):  # as the scorer's model has it
        result = _parts(world, labelled, size, say)
    if size.steps:
        say("retraining")
        people, others = _people(size)
        found = retraining.measure(world, catalog, labelled, people, others, size.steps, 0, say)
        result["retraining"] = asdict(found)
    finished: dict[str, Any] = plain(result)
    return finished


def _people(size: Size) -> tuple[list[Person], list[Person]]:
    """Who search, and who are new."""
    everybody = invent(size.people + size.others, seed=0)
    return everybody[: size.people], everybody[size.people :]


def _parts(world: World, labelled: Sequence[Labelled], size: Size, say: Say) -> dict[str, Any]:
    """All but retraining."""
    people, others = _people(size)
    world.know([query for queries in SETS.values() for query in queries])
    result: dict[str, Any] = {
        "size": asdict(size), "habits": [*HABITS], "queries": SETS,
        "best_possible": {name: best_possible(people, name) for name in SETS},
    }  # fmt: skip
    curves, learned = _learning(world, people, size.seeds, say)
    result["learning"] = {name: _figures(of, curves[NOTHING]) for name, of in curves.items()}
    result["by_habit"] = _by_habit(people, curves)
    say("labelled queries, with each person's layer")
    result["labelled"] = {
        str(count): harm.measure(world, labelled, [learned.after[one.number, count] for one in people]).to_json()
        for count in (20, 100)
    }
    say("federated start")
    result["federated"] = _federated(world, others, size)
    result["experiments"] = _experiments(world, people, size, say)
    return result


def _learning(world: World, people: Sequence[Person], seeds: int, say: Say) -> tuple[dict[str, list[Curve]], Personal]:
    """Each method's curves by seed, and the layers of the first seed."""
    methods: dict[str, Callable[[], Method]] = {
        NOTHING: lambda: Nothing(world),
        POPULARITY: lambda: Popularity(world, lambda person: 0),
        OWN: lambda: Popularity(world, lambda person: person),
        LAYER: lambda: Personal(world, lambda: malgil.PersonalLayer.zero(world.dimension)),
    }
    curves: dict[str, list[Curve]] = {}
    learned: list[Personal] = []
    for name, make in methods.items():
        say(name)
        curves[name] = []
        for seed in range(seeds):
            method = make()
            curves[name].append(simulate(people, method, seed))
            if isinstance(method, Personal):
                learned.append(method)
    return curves, learned[0]


def _figures(curves: Sequence[Curve], nothing: Sequence[Curve]) -> dict[str, Any]:
    """{set of queries: {choices: {figure: mean, gain: …}}}, the gain of recall@1 over nothing with its interval."""
    found: dict[str, Any] = {}
    for queries in SETS:
        for count in CHOICES:
            means = {figure: _over_seeds(curves, queries, count, figure) for figure in FIGURES}
            gains = means["recall@1"] - _over_seeds(nothing, queries, count, "recall@1")
            entry: dict[str, Any] = {figure: float(np.mean(values)) for figure, values in means.items()}
            entry["gain"] = float(np.mean(gains))
            entry["low"], entry["high"] = interval(gains)
            found.setdefault(queries, {})[str(count)] = entry
    found["searches"] = float(np.mean([curve.searches for curve in curves]))
    found["unfinished"] = sum(curve.unfinished for curve in curves)
    return found


def _over_seeds(curves: Sequence[Curve], queries: str, count: int, figure: str) -> Any:
    """A value for each person: the mean over seeds, of those in which the person came to so many choices."""
    return np.nanmean([curve.values[queries, count, figure] for curve in curves], axis=0)


def _by_habit(people: Sequence[Person], curves: dict[str, list[Curve]]) -> dict[str, dict[str, float]]:
    """Habit → the gain of recall@1 over nothing by the layer after 20 choices, by set of queries."""
    habits = np.array([person.habit for person in people])
    found: dict[str, dict[str, float]] = {habit: {} for habit in HABITS}
    for queries in SETS:
        layer, nothing = (_over_seeds(curves[name], queries, 20, "recall@1") for name in (LAYER, NOTHING))
        for habit in HABITS:
            if (habits == habit).any():
                found[habit][queries] = float(np.mean((layer - nothing)[habits == habit]))
    return found


def _federated(world: World, people: Sequence[Person], size: Size) -> dict[str, Any]:
    """New people who start with a layer that was learned from others' updates, beside those who start with zeros."""
    counts = (0, 5, 20)
    start, told = federation.learn_start(world, size.devices, seed=0)
    curves: dict[str, list[Curve]] = {LAYER: [], FEDERATED: []}
    for seed in range(size.seeds):
        for name, layer in ((LAYER, malgil.PersonalLayer.zero(world.dimension)), (FEDERATED, start)):
            method = Personal(world, lambda layer=layer: malgil.PersonalLayer(layer.vector))  # type: ignore[misc]
            curves[name].append(simulate(people, method, seed, counts))
    found: dict[str, Any] = {"told": told}
    for queries in SETS:
        for count in counts:
            means = {name: _over_seeds(of, queries, count, "recall@1") for name, of in curves.items()}
            low, high = interval(means[FEDERATED] - means[LAYER])
            found.setdefault(queries, {})[str(count)] = {
                "zero": float(np.mean(means[LAYER])), "federated": float(np.mean(means[FEDERATED])), "low": low,
                "high": high,
            }  # fmt: skip
    return found


def _experiments(world: World, people: Sequence[Person], size: Size, say: Say) -> dict[str, Any]:
    """Interleaving and A/B, with a better variant planted and between equals."""
    pairs = {"planted": trials.planted(world, people), "equals": trials.equals(world, seed=1)}
    found: dict[str, Any] = {"alpha": 0.05, "planned": {"interleaving": Plan().deciding_people(0.1)}}
    designs: dict[str, trials.Trial] = {"interleaving": trials.interleaved, "ab": trials.split}
    for name, one in designs.items():
        for kind, pair in pairs.items():
            say(f"{name}, {kind}")
            made = [one(people, size.visitors, pair, seed) for seed in range(size.experiments)]
            found[f"{name}_{kind}"] = asdict(trials.rates(made))
    return found


def plain(value: Any) -> Any:
    """A value as JSON has it: null for what is not a number."""
    if isinstance(value, dict):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
