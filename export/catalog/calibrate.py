"""Proposing a default threshold, from labelled queries that should find something and some that should find nothing.

Thresholds belong to an encoder and a catalog. The highest one is proposed that costs at most a given share of recall on
one half of the queries; what it does is reported on the other half.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from malgil_core.catalog.reading import Service
from malgil_core.encoder import EncoderMetadata
from malgil_core.index import reader
from malgil_core.index.writer import Embed, publish
from malgil_core.ranking.cpu import CpuScorer
from malgil_core.ranking.topk import unit
from malgil_core.ranking.types import Floats, QueryOptions

from export.catalog.labelled import Labelled
from export.errors import ExportError

TOP = 5  # hits among which the right one must be
STEPS = 200  # thresholds tried, between the lowest and the highest score


class NothingToLearnError(ExportError):
    """No threshold follows from the labelled queries; the text says what is missing."""


@dataclass(frozen=True)
class Point:
    """The effect of one default threshold on labelled queries.

    Attributes:
        threshold: the lowest score that is shown of services without a threshold in the catalog.
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
    """One query's best hits, with no default threshold.

    Attributes:
        wanted: id of the right service, None where nothing should be found.
        ids: of the services found, best first.
        scores: of each.
        fixed: whether each has a threshold in the catalog, so that the default does not count.
    """

    wanted: int | None
    ids: Sequence[int]
    scores: Floats
    fixed: Sequence[bool]

    def shown(self, threshold: float) -> list[int]:
        """The ids that are left with a default threshold."""
        return [
            id
            for id, score, fixed in zip(self.ids, self.scores, self.fixed, strict=True)
            if fixed or score >= threshold
        ]


def answers(
    services: Sequence[Service], queries: Sequence[Labelled], metadata: EncoderMetadata, embed: Embed
) -> list[Answer]:
    """Rank every query as the scorer would, on a temporary generation."""
    with tempfile.TemporaryDirectory(prefix="malgil-calibrate-") as folder:
        number = publish(services, Path(folder), metadata, embed)
        index = reader.load(reader.folder_of(Path(folder), number))
    lexical, scorer = index.lexical, CpuScorer(index)
    assert lexical
    vectors = unit(np.asarray(embed([query.query for query in queries]), dtype=np.float32))
    found = []
    for query, vector in zip(queries, vectors, strict=True):
        # Services below the threshold make room for others: more than TOP may come into sight.
        ranked = scorer.rank(vector[np.newaxis], [QueryOptions(4 * TOP)], [lexical.matches(query.query)])[0]
        fixed = np.isfinite(index.thresholds[ranked.services]).tolist()
        found.append(Answer(query.id, index.ids_padded[ranked.services].tolist(), ranked.scores, fixed))
    return found


def curve(found: Sequence[Answer]) -> list[Point]:
    """Points of thresholds, from one that hides nothing to one that hides everything.

    Raises:
        NothingToLearnError: no query has a right service, or none should find nothing.
    """
    inside, outside = _by_scope(found)
    if not inside or not outside:
        missing = "has an id" if not inside else 'has "id": null'
        raise NothingToLearnError(f"no query {missing}: queries of both sorts are needed to find a threshold")
    best = [float(answer.scores[0]) for answer in found if len(answer.scores)]
    if not best:
        raise NothingToLearnError("no query finds anything, whatever the threshold")
    lowest = min(float(score) for answer in found for score in answer.scores)
    return [_point(at, inside, outside) for at in (lowest, *np.linspace(min(best), max(best), STEPS).tolist())]


def propose(points: Sequence[Point], cost: float) -> Point:
    """The point of the highest threshold whose recall is at most `cost` below that of the lowest."""
    return max((p for p in points if p.recall >= points[0].recall - cost), key=lambda p: p.threshold)


def at(threshold: float, found: Sequence[Answer]) -> Point:
    """The point of this threshold."""
    return _point(threshold, *_by_scope(found))


def check_picture(file: Path) -> None:
    """Check that a picture can be written to a file.

    Raises:
        ExportError: the file's suffix stands for no picture format, or its folder is not there.
    """
    from matplotlib.backend_bases import FigureCanvasBase

    known = FigureCanvasBase.get_supported_filetypes()
    if file.suffix.removeprefix(".").lower() not in known:
        raise ExportError(f"--plot: {file} ends with none of {', '.join(f'.{name}' for name in sorted(known))}")
    if not file.absolute().parent.is_dir():
        raise ExportError(f"--plot: {file.parent} is not a folder")


def plot(points: Sequence[Point], chosen: Point, file: Path) -> None:
    """Draw precision, recall and the share of empty answers over the threshold."""
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
    try:
        figure.savefig(file, dpi=120)
    finally:
        pyplot.close(figure)


def _by_scope(found: Sequence[Answer]) -> tuple[list[Answer], list[Answer]]:
    """The queries with a right service, and those that should find nothing."""
    return [a for a in found if a.wanted is not None], [a for a in found if a.wanted is None]


def _point(threshold: float, inside: Sequence[Answer], outside: Sequence[Answer]) -> Point:
    shown = [(answer.wanted, answer.shown(threshold)[:TOP]) for answer in inside]
    right = sum(wanted in ids for wanted, ids in shown)
    empty = sum(not answer.shown(threshold) for answer in outside)
    answered = sum(bool(ids) for _, ids in shown) + len(outside) - empty
    return Point(
        threshold, right / answered if answered else 1.0, right / len(inside) if inside else 0.0, empty / len(outside)
    )
