"""Ranking as it is on every device: thresholds, lexical matches, null phrases and personal layers around cosines."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Generic, Protocol, TypeVar

import numpy as np

from malgil_core.lexical.index import LexicalMatches
from malgil_core.ranking import personal, scope
from malgil_core.ranking.fusion import ServiceMatches, merge, with_lexical
from malgil_core.ranking.topk import BatchHits, Pairs, row_starts, top_ks
from malgil_core.ranking.types import (
    BatchThresholds,
    Floats,
    Index,
    Ints,
    Layers,
    QueryOptions,
    Ranked,
    ScoreThresholds,
)


class HostRows(Protocol):
    """Queries with their cosines, as a device has them."""

    @property
    def host(self) -> Floats:
        """The queries' embeddings in the host's memory, [b, D]."""


R = TypeVar("R", bound=HostRows)
Take = Callable[["slice | list[int]"], R]  # some queries of a batch


class DeviceScorer(ABC, Generic[R]):
    """Ranks by the cosines that a device computes."""

    ROOM: float  # the most that a cosine of `_best` may be off

    def __init__(self, index: Index) -> None:
        self._index = index
        self._thresholds = ScoreThresholds(index)
        self._row_starts = row_starts(index)

    @abstractmethod
    def _dense(self, rows: R, thresholds: BatchThresholds, top_k: Ints) -> BatchHits:
        """The hits of each query by the cosine."""

    @abstractmethod
    def _nearest(self, rows: R, queries: Ints, services: Ints) -> BatchHits:
        """Pairs of a query and a service, in this order, by the service's phrase of the highest cosine."""

    @abstractmethod
    def _best(self, rows: R) -> Floats:
        """The cosine of each query with each service's nearest phrase, [b, S], within ROOM."""

    @abstractmethod
    def _near(self, rows: R, queries: Ints) -> tuple[Pairs, Pairs]:
        """The rows of services, and the null phrases, that can be the nearest to some queries. With null phrases."""

    def _parts(self, options: Sequence[QueryOptions], matches: Sequence[LexicalMatches]) -> Iterator[slice]:
        """Parts of a batch that are ranked together."""
        yield slice(0, len(options))

    def _rank(
        self,
        plain: Take[R],
        moved: Take[R],
        options: Sequence[QueryOptions],
        matches: Sequence[LexicalMatches],
        layers: Layers,
    ) -> list[Ranked]:
        """The answers to a batch.

        Args:
            plain: takes queries of the batch.
            moved: takes queries with a layer, moved by it, in the order of `layers`.
            options: [B].
            matches: [B].
            layers: those that count.
        """
        asked = personal.without(layers, options)
        ranked: list[Ranked] = []
        cosines: list[Floats] = []  # of each query with the services that it matches lexically
        for part in self._parts(asked, matches):
            hits, matched = self._rank_plain(plain(part), asked[part], matches[part])
            ranked += hits
            if len(layers.rows):
                cosines += _by_query(matched, len(hits))
        # Whether anything is shown at all does not depend on a layer.
        shown = [place for place, row in enumerate(layers.rows.tolist()) if len(ranked[row].services)]
        own = layers.rows[shown].tolist()
        wanted, found = [options[row] for row in own], [matches[row] for row in own]
        for part in self._parts(wanted, found) if own else ():
            of_matched = [cosines[row] for row in own[part]]
            hits = self._rank_personal(plain(own[part]), moved(shown[part]), wanted[part], found[part], of_matched)
            for row, one in zip(own[part], hits, strict=True):
                ranked[row] = personal.answered(one, ranked[row])
        return ranked

    def _rank_plain(
        self, rows: R, options: Sequence[QueryOptions], matches: Sequence[LexicalMatches]
    ) -> tuple[list[Ranked], BatchHits | None]:
        """The answers to some queries without a layer, and their services with a lexical match."""
        by_service = ServiceMatches.of(matches, self._index)
        matched = self._matched(rows, by_service)
        ranked = self._rank_hits(rows, self._thresholds.of(options), top_ks(options), by_service, matched)
        if self._index.null is None:
            return ranked, matched
        queries, by_initials = scope.compared(options, matches)
        if not len(queries):
            return ranked, matched
        near = scope.Near(queries, by_initials, *self._near(rows, queries))
        return scope.refuse(ranked, near, matched, rows.host, self._index), matched

    def _rank_personal(
        self,
        plain: R,
        moved: R,
        options: Sequence[QueryOptions],
        matches: Sequence[LexicalMatches],
        cosines: Sequence[Floats],
    ) -> list[Ranked]:
        """The hits of queries with a layer: of the services that are shown without it, in the order of q'.

        Args:
            plain: the queries as they are.
            moved: the same, moved by their layers.
            options: [b].
            matches: [b].
            cosines: of each query as it is with the services that it matches lexically, [b].
        """
        by_service = ServiceMatches.of(matches, self._index)
        thresholds = personal.shown_services(
            self._thresholds.of(options),
            by_service,
            lambda: self._best(plain),
            self.ROOM,
            lambda queries, services: self._nearest(plain, queries, services).dense,
        )
        matched = self._matched(moved, by_service)
        if matched is not None:
            matched = personal.with_layer(matched, np.concatenate(cosines))
        return self._rank_hits(moved, thresholds, top_ks(options), by_service, matched)

    def _rank_hits(
        self,
        rows: R,
        thresholds: BatchThresholds,
        top_k: Ints,
        by_service: ServiceMatches,
        matched: BatchHits | None,
    ) -> list[Ranked]:
        """The hits of each query, by the score in `matched`, or the cosine."""
        hits = self._dense(rows, thresholds, top_k)
        if matched is not None:
            hits = merge(hits, matched, by_service, self._index, thresholds, top_k)
        return hits.split(len(top_k))

    def _matched(self, rows: R, by_service: ServiceMatches) -> BatchHits | None:
        """The services with a lexical match, by the fused score; None if there are none."""
        if not len(by_service.services):
            return None
        return with_lexical(self._nearest(rows, by_service.queries, by_service.services), by_service)


def _by_query(matched: BatchHits | None, batch: int) -> list[Floats]:
    """The cosines of each of `batch` queries with the services that it matches lexically."""
    if matched is None:
        return [np.empty(0, np.float32)] * batch
    return np.split(matched.dense, matched.queries.searchsorted(np.arange(1, batch)))
