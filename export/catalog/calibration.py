"""One calibration: weights, thresholds of services, limits of null phrases and the default threshold, in this order.

Each is chosen on the tuning half of the labelled queries, on top of those before, since each moves the scores or the
answers that the next is about. What each changes is told on the other half.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone

import numpy as np
from malgil_core.catalog.reading import Catalog
from malgil_core.encoder import EncoderMetadata
from malgil_core.index.generation import Generation
from malgil_core.index.writer import Embed
from malgil_core.lexical.index import Weights
from malgil_core.ranking.margin import NullSettings
from malgil_core.ranking.topk import unit
from malgil_core.ranking.types import Floats
from malgil_core.text.layout import latin_words

from export.catalog import calibrate, service_thresholds, weights
from export.catalog.calibrate import Answer, Limits, MarginPoint, Point
from export.catalog.labelled import Labelled
from export.catalog.service_thresholds import Proposal
from export.catalog.settings import Encoder, Null, Settings, Threshold, as_weights
from export.catalog.weights import Asked, Figures
from export.progress import Advance

NO_THRESHOLD = -1.0


@dataclass(frozen=True)
class Data:
    """What a calibration looks at.

    Attributes:
        catalog: of the services.
        generation: of the catalog, with the weights in use.
        labelled: the queries as they were given.
        embeddings: their unit vectors.
        asked: a sample of these, and of what becomes of them when people mistype.
    """

    catalog: Catalog
    generation: Generation
    labelled: Sequence[Labelled]
    embeddings: Floats
    asked: Asked

    @classmethod
    def of(
        cls,
        catalog: Catalog,
        labelled: Sequence[Labelled],
        metadata: EncoderMetadata,
        embed: Embed,
        query_embed: Callable[[Container[str]], Embed],
        seed: int,
    ) -> Data:
        """The data of a catalog and labelled queries.

        Args:
            catalog: of the services.
            labelled: the queries.
            metadata: of the encoder.
            embed: embeds phrases.
            query_embed: the catalog's words in Latin letters → what embeds queries.
            seed: of the sample.
        """
        generation = calibrate.generation_of(catalog, metadata, embed)
        sampled = weights.sample(labelled, catalog.services, seed)
        texts = list(dict.fromkeys(query.query for query in (*labelled, *sampled)))
        phrases = [text for service in catalog.services if service.open for text in service.texts]
        vectors = unit(np.asarray(query_embed(frozenset(latin_words(phrases)))(texts), dtype=np.float32))
        rows = {text: row for row, text in enumerate(texts)}
        given, sample = (vectors[[rows[query.query] for query in queries]] for queries in (labelled, sampled))
        return cls(catalog, generation, labelled, given, Asked.of(sampled, sample, generation))

    def answers(self, generation: Generation) -> tuple[list[Answer], list[Answer]]:
        """The answers to the given queries: of the tuning half and of the other."""
        found = calibrate.answers(generation, self.labelled, self.embeddings)
        pairs = list(zip(found, self.labelled, strict=True))
        tuning, held_out = ([answer for answer, query in pairs if query.held_out == half] for half in (False, True))
        return tuning, held_out

    @property
    def tuning(self) -> tuple[list[Labelled], Floats]:
        """The given queries of the tuning half, and their unit vectors."""
        kept = [place for place, query in enumerate(self.labelled) if not query.held_out]
        return [self.labelled[place] for place in kept], self.embeddings[kept]


@dataclass(frozen=True)
class Chosen:
    """What a calibration chose, and what each choice changes.

    Attributes:
        weights: of lexical matches.
        lexical: figures of the half that nothing was tuned on by kind of query, with the weights in use and with these.
        proposals: thresholds of services.
        limits: of null phrases; None without null topics.
        unlabelled: those that a publish sets by itself.
        margins: what each margin does to the tuning half.
        default_threshold: None where it would cost more recall than it leaves queries empty.
        points: what each default threshold does to the tuning half.
        point: the proposed one of them.
        steps: what each choice in turn makes of the half that nothing was tuned on.
    """

    weights: Weights
    lexical: tuple[dict[str, Figures], dict[str, Figures]]
    proposals: Sequence[Proposal]
    limits: Limits | None
    unlabelled: Limits | None
    margins: Sequence[MarginPoint]
    default_threshold: float | None
    points: Sequence[Point]
    point: Point
    steps: dict[str, Point]

    @property
    def margin(self) -> float:
        """The margin of null phrases; 0 without any."""
        return self.limits.margin if self.limits else 0.0


def choose(data: Data, cost: float, steps: int, seed: int, keep_thresholds: bool, advance: Advance) -> Chosen:
    """Choose weights, thresholds and limits.

    Args:
        data: what they are chosen by.
        cost: share of recall or of own queries that a limit or threshold may cost.
        steps: weights tried.
        seed: of these.
        keep_thresholds: whether services keep their thresholds.
        advance: called after each step.

    Raises:
        NothingToLearnError: no query has a right service, or none should find nothing.
    """
    lexical = data.generation.lexical
    assert lexical
    _, before = data.answers(data.generation)
    done = {"before": calibrate.at(NO_THRESHOLD, before)}  # refuses queries of one sort before the work
    found = weights.search(data.asked.half(held_out=False), lexical, steps, seed, advance)
    generation = calibrate.with_weights(data.generation, found)
    reported = data.asked.half(held_out=True)
    figures = reported.figures(lexical), reported.figures(lexical.with_weights(found))
    done["weights"] = calibrate.at(NO_THRESHOLD, data.answers(generation)[1])
    proposals: list[Proposal] = []
    if not keep_thresholds:
        proposals = service_thresholds.proposals(data.catalog.services, generation, *data.tuning, cost)
        generation = calibrate.with_thresholds(generation, {one.id: one.threshold for one in proposals})
    tuning, held_out = data.answers(generation)
    if proposals:
        done["thresholds of services"] = calibrate.at(NO_THRESHOLD, held_out)
    margins: list[MarginPoint] = []
    limits = unlabelled = calibrate.limits_of(generation)
    if unlabelled:
        done["null phrases, without labels"] = _with_limits(unlabelled, held_out)
        margins = calibrate.margins(tuning, unlabelled.floor)
        limits = replace(unlabelled, margin=calibrate.propose_margin(margins, tuning, cost).margin)
        done["null phrases"] = _with_limits(limits, held_out)
        tuning, held_out = ([answer.with_margin(limits) for answer in half] for half in (tuning, held_out))
    points = calibrate.curve(tuning)
    point = calibrate.propose(points, cost)
    done["default threshold"] = calibrate.at(point.threshold, held_out)
    is_worth_it = point.empty - points[0].empty > points[0].recall - point.recall
    threshold = point.threshold if is_worth_it else None
    return Chosen(found, figures, proposals, limits, unlabelled, margins, threshold, points, point, done)


def as_settings(chosen: Chosen, metadata: EncoderMetadata) -> Settings:
    """What a calibration chose, as a settings file has it."""
    null = None
    if chosen.limits:
        floor = NO_THRESHOLD if np.isneginf(chosen.limits.floor) else chosen.limits.floor
        null = Null(loss=NullSettings().loss, margin=chosen.limits.margin, floor=floor)
    return Settings(
        version=1,
        encoder=Encoder(
            name=metadata.name, fingerprint=metadata.fingerprint, source_fingerprint=metadata.source_fingerprint
        ),
        created=datetime.now(timezone.utc).replace(microsecond=0),
        weights=as_weights(chosen.weights),
        default_threshold=chosen.default_threshold,
        thresholds=[Threshold(id=one.id, catalog=one.catalog, threshold=one.threshold) for one in chosen.proposals],
        null=null,
        figures={name: _figures(point) for name, point in chosen.steps.items()},
    )


def _with_limits(limits: Limits, held_out: Sequence[Answer]) -> Point:
    return calibrate.at(NO_THRESHOLD, [answer.with_margin(limits) for answer in held_out])


def _figures(point: Point) -> dict[str, float]:
    return {
        "precision@5": round(point.precision, 4),
        "recall@5": round(point.recall, 4),
        "out_of_scope_empty": round(point.empty, 4),
    }
