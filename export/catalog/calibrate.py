"""Proposing a margin of null phrases and a default threshold, from labelled queries, some of which should find nothing.

Both belong to an encoder and a catalog. The smallest margin and the highest threshold are proposed that cost at most a
given share of recall on one half of the queries; what they do is reported on the other half.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from malgil_core.catalog.reading import Catalog
from malgil_core.encoder import EncoderMetadata
from malgil_core.index import reader
from malgil_core.index.writer import Embed, publish
from malgil_core.ranking.cpu import CpuScorer
from malgil_core.ranking.margin import NullSettings
from malgil_core.ranking.scope import is_out_of_scope
from malgil_core.ranking.topk import unit
from malgil_core.ranking.types import Floats, NullMatch, QueryOptions

from export.catalog.labelled import Labelled
from export.errors import ExportError

TOP = 5  # hits among which the right one must be
STEPS = 200  # thresholds tried, between the lowest and the highest score, and margins
CURVES = {
    "precision": f"precision among the first {TOP}",
    "recall": f"recall@{TOP}",
    "empty": "out of scope: nothing found",
}


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
class MarginPoint:
    """The effect of one margin of null phrases on labelled queries; recall and empty as those of a Point."""

    margin: float
    recall: float
    empty: float


@dataclass(frozen=True)
class Limits:
    """The limits of null phrases (see malgil_core.index.generation.NullPhrases)."""

    margin: float
    floor: float


@dataclass(frozen=True)
class Answer:
    """One query's best hits, with no default threshold.

    Attributes:
        wanted: id of the right service, None where nothing should be found.
        ids: of the services found, best first.
        scores: of each.
        fixed: whether each has a threshold in the catalog, so that the default does not count.
        null: the nearest null phrase, None if there are none or they cannot refuse the query.
    """

    wanted: int | None
    ids: Sequence[int]
    scores: Floats
    fixed: Sequence[bool]
    null: NullMatch | None = None

    def with_margin(self, limits: Limits) -> Answer:
        """The answer with null phrases: empty where the query is out of scope."""
        if self.null is None:
            return self
        best, null = np.array([self.null.best]), np.array([self.null.score])
        if not is_out_of_scope(best, null, limits.margin, limits.floor)[0]:
            return self
        return replace(self, ids=[], scores=self.scores[:0], fixed=[])

    def shown(self, threshold: float) -> list[int]:
        """The ids that are left with a default threshold."""
        return [
            id
            for id, score, fixed in zip(self.ids, self.scores, self.fixed, strict=True)
            if fixed or score >= threshold
        ]


def answers(
    catalog: Catalog, queries: Sequence[Labelled], metadata: EncoderMetadata, embed: Embed
) -> tuple[list[Answer], Limits | None]:
    """Rank every query as the scorer would, on a temporary generation.

    Returns:
        The answers without null phrases, and the limits that a publish sets by itself, if the catalog has any.
    """
    with tempfile.TemporaryDirectory(prefix="malgil-calibrate-") as folder:
        limits = NullSettings().limits
        number = publish(catalog.services, Path(folder), metadata, embed, None, catalog.null_topics, limits)
        index = reader.load(reader.folder_of(Path(folder), number))
    lexical, scorer = index.lexical, CpuScorer(index)
    assert lexical
    vectors = unit(np.asarray(embed([query.query for query in queries]), dtype=np.float32))
    found = []
    for query, vector in zip(queries, vectors, strict=True):
        # Services below the threshold make room for others: more than TOP may come into sight.
        options = [QueryOptions(4 * TOP, null=False), QueryOptions(1)]
        pair = np.stack([vector, vector])
        ranked, compared = scorer.rank(pair, options, [lexical.matches(query.query)] * 2)
        fixed = np.isfinite(index.thresholds[ranked.services]).tolist()
        answer = Answer(query.id, index.ids_padded[ranked.services].tolist(), ranked.scores, fixed, compared.null)
        if index.null:
            # Of most initials of a phrase only the same null phrase refuses a query, whatever the limits.
            exempt = compared.null and not compared.null.refused_by
            published = Limits(index.null.margin, index.null.floor)
            refused = not answer.with_margin(published).ids and answer.ids
            answer = replace(answer, null=None) if exempt and refused else answer
        found.append(answer)
    return found, Limits(index.null.margin, index.null.floor) if index.null else None


def curve(found: Sequence[Answer]) -> list[Point]:
    """Points of thresholds, from one that hides nothing to one that hides everything.

    Raises:
        NothingToLearnError: no query has a right service, or none should find nothing.
    """
    inside, outside = _by_scope(found)
    best = [float(answer.scores[0]) for answer in found if len(answer.scores)]
    if not best:
        raise NothingToLearnError("no query finds anything, whatever the threshold")
    lowest = min(float(score) for answer in found for score in answer.scores)
    return [_point(at, inside, outside) for at in (lowest, *np.linspace(min(best), max(best), STEPS).tolist())]


def propose(points: Sequence[Point], cost: float) -> Point:
    """The point of the highest threshold whose recall is at most `cost` below that of the lowest."""
    return max((p for p in points if p.recall >= points[0].recall - cost), key=lambda p: p.threshold)


def margins(found: Sequence[Answer], floor: float) -> list[MarginPoint]:
    """Points of margins, from 0 to one that refuses nothing.

    Raises:
        NothingToLearnError: no query has a right service, or none should find nothing.
    """
    _by_scope(found)
    gaps = [answer.null.score - answer.null.best for answer in found if answer.null]
    return [margin_at(Limits(at, floor), found) for at in np.linspace(0, max([*gaps, 0.0]), STEPS).tolist()]


def margin_at(limits: Limits, found: Sequence[Answer]) -> MarginPoint:
    """The point of these limits."""
    point = _point(-1.0, *_by_scope([answer.with_margin(limits) for answer in found]))
    return MarginPoint(limits.margin, point.recall, point.empty)


def propose_margin(points: Sequence[MarginPoint], found: Sequence[Answer], cost: float) -> MarginPoint:
    """The point of the smallest margin whose recall is at most `cost` below that without null phrases."""
    without = _point(-1.0, *_by_scope(found)).recall
    return next((point for point in points if point.recall >= without - cost), points[-1])


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


def plot(
    points: Sequence[Point], chosen: Point, file: Path, margins: Sequence[MarginPoint] = (), margin: float = 0.0
) -> None:
    """Draw precision, recall and the share of empty answers over the threshold, and over the margin."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot

    panels: list[tuple[str, str, float, Sequence[Any]]] = [("threshold", "default threshold", chosen.threshold, points)]
    if margins:
        panels.insert(0, ("margin", "margin of null phrases", margin, margins))
    figure, grid = pyplot.subplots(1, len(panels), figsize=(7 * len(panels), 4), layout="constrained", squeeze=False)
    for axes, (name, label, proposed, drawn) in zip(grid[0], panels, strict=True):
        x = [getattr(point, name) for point in drawn]
        for number, (value, text) in enumerate(CURVES.items()):
            if hasattr(drawn[0], value):
                axes.plot(x, [getattr(point, value) for point in drawn], f"C{number}", label=text)
        axes.axvline(proposed, color="grey", linestyle="--", label=f"proposed: {proposed:.4f}")
        axes.set(xlabel=label, ylim=(0, 1.02))
        axes.legend()
        axes.grid(alpha=0.3)
    try:
        figure.savefig(file, dpi=120)
    finally:
        pyplot.close(figure)


def _by_scope(found: Sequence[Answer]) -> tuple[list[Answer], list[Answer]]:
    """The queries with a right service, and those that should find nothing.

    Raises:
        NothingToLearnError: there are none of one sort.
    """
    inside, outside = [a for a in found if a.wanted is not None], [a for a in found if a.wanted is None]
    if not inside or not outside:
        missing = "has an id" if not inside else 'has "id": null'
        raise NothingToLearnError(f"no query {missing}: queries of both sorts are needed to find a threshold")
    return inside, outside


def _point(threshold: float, inside: Sequence[Answer], outside: Sequence[Answer]) -> Point:
    shown = [(answer.wanted, answer.shown(threshold)[:TOP]) for answer in inside]
    right = sum(wanted in ids for wanted, ids in shown)
    empty = sum(not answer.shown(threshold) for answer in outside)
    answered = sum(bool(ids) for _, ids in shown) + len(outside) - empty
    return Point(
        threshold, right / answered if answered else 1.0, right / len(inside) if inside else 0.0, empty / len(outside)
    )
