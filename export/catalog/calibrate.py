"""`python -m export calibrate`: which default threshold, from queries that should find something and some not.

Thresholds belong to an encoder and a catalogue. Proposed is the highest one that costs at most a given share of recall
on one half of the queries; what it does is reported on the other half.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from malgil_core.catalog.reading import Service
from malgil_core.index import reader
from malgil_core.index.writer import Embed, publish
from malgil_core.ranking.cpu import CpuScorer
from malgil_core.ranking.topk import unit
from malgil_core.ranking.types import Floats, QueryOptions

from export.catalog.labelled import Labelled

TOP = 5  # hits among which the right one must be
STEPS = 200  # thresholds tried, between the lowest and the highest score


class NothingToLearnError(ValueError):
    """The labelled queries cannot tell a threshold; the text says what is missing."""


@dataclass(frozen=True)
class Point:
    """What one default threshold does to labelled queries.

    Attributes:
        threshold: the least score of services without one of their own.
        precision: of the queries that are answered, the share whose right service is among the first TOP.
        recall: of the queries with a right service, the share that finds it among the first TOP.
        empty: of the queries that should find nothing, the share that does.
    """

    threshold: float
    precision: float
    recall: float
    empty: float


@dataclass(frozen=True)
class Answer:
    """One query's best hits, with no default threshold."""

    wanted: int | None
    ids: Sequence[int]
    scores: Floats
    own: Sequence[bool]  # whether a hit's service has a threshold of its own

    def shown(self, threshold: float) -> list[int]:
        """What is left with a default threshold."""
        return [id for id, score, own in zip(self.ids, self.scores, self.own, strict=True) if own or score >= threshold]


def answers(
    services: Sequence[Service], queries: Sequence[Labelled], metadata: dict[str, Any], embed: Embed
) -> list[Answer]:
    """Rank every query as the scorer would, on a generation of its own."""
    with tempfile.TemporaryDirectory(prefix="malgil-calibrate-") as folder:
        number = publish(services, Path(folder), metadata, embed)
        index = reader.load(reader.folder_of(Path(folder), number))
    lexical, scorer = index.lexical, CpuScorer(index)
    assert lexical
    vectors = unit(np.asarray(embed([one.query for one in queries]), dtype=np.float32))
    found = []
    for query, vector in zip(queries, vectors, strict=True):
        # Services below the threshold make room for others: more than TOP may come into sight.
        ranked = scorer.rank(vector[np.newaxis], [QueryOptions(4 * TOP)], [lexical.matches(query.query)])[0]
        own = np.isfinite(index.thresholds[ranked.services]).tolist()
        found.append(Answer(query.id, index.ids_padded[ranked.services].tolist(), ranked.scores, own))
    return found


def curve(found: Sequence[Answer]) -> list[Point]:
    """What thresholds do, from one that hides nothing to one that hides everything.

    Raises:
        NothingToLearnError: no query has a right service, or none should find nothing.
    """
    inside, outside = ([one for one in found if (one.wanted is None) == out] for out in (False, True))
    if not inside or not outside:
        missing = "has an id" if not inside else 'has "id": null'
        raise NothingToLearnError(f"no query {missing}: queries of both sorts are needed to tell a threshold")
    best = [float(one.scores[0]) for one in found if len(one.scores)]
    if not best:
        raise NothingToLearnError("no query finds anything, whatever the threshold")
    lowest = min(float(score) for one in found for score in one.scores)
    return [_point(at, inside, outside) for at in (lowest, *np.linspace(min(best), max(best), STEPS).tolist())]


def propose(points: Sequence[Point], cost: float) -> Point:
    """The point of the highest threshold whose recall is at most `cost` below that of the lowest."""
    return max((p for p in points if p.recall >= points[0].recall - cost), key=lambda p: p.threshold)


def at(threshold: float, found: Sequence[Answer]) -> Point:
    """What this threshold does to these queries."""
    inside, outside = ([one for one in found if (one.wanted is None) == out] for out in (False, True))
    return _point(threshold, inside, outside)


def plot(points: Sequence[Point], chosen: Point, file: Path) -> None:
    """Precision, recall and the share of empty answers over the threshold, as a picture."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4), layout="constrained")
    x = [point.threshold for point in points]
    for name, label in (
        ("precision", f"precision among the first {TOP}"),
        ("recall", f"recall@{TOP}"),
        ("empty", "out of scope: nothing found"),
    ):
        axes.plot(x, [getattr(point, name) for point in points], label=label)
    axes.axvline(chosen.threshold, color="grey", linestyle="--", label=f"proposed: {chosen.threshold:.3f}")
    axes.set(xlabel="default threshold", ylim=(0, 1.02))
    axes.legend()
    axes.grid(alpha=0.3)
    figure.savefig(file, dpi=120)
    pyplot.close(figure)


def _point(threshold: float, inside: Sequence[Answer], outside: Sequence[Answer]) -> Point:
    shown = [(one.wanted, one.shown(threshold)[:TOP]) for one in inside]
    right = sum(wanted in ids for wanted, ids in shown)
    empty = sum(not one.shown(threshold) for one in outside)
    answered = sum(bool(ids) for _, ids in shown) + len(outside) - empty
    return Point(
        threshold, right / answered if answered else 1.0, right / len(inside) if inside else 0.0, empty / len(outside)
    )
