"""What a person's layer does to queries that need none: the labelled ones, which say which service is meant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import malgil
import numpy as np

from benchmarks.loop.world import World
from export.catalog.labelled import Labelled
from training.evaluation.metrics import outcomes, places
from training.evaluation.significance import interval


@dataclass(frozen=True)
class Harm:
    """Labelled queries with layers and without.

    Attributes:
        queries: how many.
        layers: each asks them all.
        without: recall@1 without a layer.
        with_layers: the mean with them.
        worst: the lowest of a layer.
        low: lower end of the interval of the difference, over queries.
        high: its upper end.
    """

    queries: int
    layers: int
    without: float
    with_layers: float
    worst: float
    low: float
    high: float

    def to_json(self) -> dict[str, Any]:
        """The fields."""
        return asdict(self)


def measure(world: World, labelled: Sequence[Labelled], layers: Sequence[malgil.PersonalLayer]) -> Harm:
    """Ask every query in scope with every layer."""
    asked = [one for one in labelled if one.id is not None]
    queries = [one.query for one in asked]

    def recall(vector: Any) -> Any:
        carried = None if vector is None else np.tile(vector, (len(queries), 1))
        return outcomes(places(asked, [shown.ids for shown in world.rank(queries, carried)]))["recall@1"]

    without = recall(None)
    each = np.array([recall(layer.vector) for layer in layers])
    low, high = interval(each.mean(axis=0) - without)
    by_layer = each.mean(axis=1)
    return Harm(len(asked), len(layers), float(without.mean()), float(each.mean()), float(by_layer.min()), low, high)
