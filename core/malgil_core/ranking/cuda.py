"""Exact ranking of services on a GPU, with torch: the matrix stays there, and only candidates leave.

The wide product runs in float16; its candidates, taken with the room that float16 needs, are scored again in float32
and go through the same selection as on the CPU, so that both give the same answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from malgil_core.lexical.index import NO_MATCHES, LexicalMatches
from malgil_core.ranking import personal
from malgil_core.ranking.fusion import rows_of
from malgil_core.ranking.scoring import DeviceScorer
from malgil_core.ranking.topk import BatchHits, Pairs, nearest, select
from malgil_core.ranking.types import (
    NO_LAYERS,
    BatchThresholds,
    Floats,
    Index,
    Ints,
    Layers,
    QueryOptions,
    Ranked,
)

# |error| of a float16 product of unit vectors: 2⁻¹¹ for each factor and 2⁻¹¹ for the result, with room.
HALF_ROUNDING = 2e-3


class Rows(NamedTuple):
    """Queries of a batch with their cosines."""

    host: Floats  # embeddings [b, D]
    embeddings: Any  # the same on the device
    scores: Any  # [b, P], on the device, as float16 gives them

    def take(self, places: slice | list[int]) -> Rows:
        """The queries at these places."""
        return Rows(*(part[places] for part in self))


class CudaScorer(DeviceScorer[Rows]):
    """Exact top-k with torch on `device`; tested on "cpu" for the same answers."""

    ROOM = HALF_ROUNDING

    def __init__(self, index: Index, device: str = "cuda") -> None:
        super().__init__(index)
        self._device = torch.device(device)
        self._matrix = torch.from_numpy(index.matrix).to(self._device)
        # torch may add up halves in halves, which HALF_ROUNDING has no room for.
        torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction = False
        self._half = self._matrix.half()
        self._null = torch.from_numpy(index.null.matrix).to(self._device) if index.null else None
        self._null_half = None if self._null is None else self._null.half()
        self._service_of_row = torch.from_numpy(index.service_of_row.astype(np.int64)).to(self._device)

    def join(self, embeddings: Sequence[Any]) -> Any:
        """The embeddings [b, D] of several requests as one batch [B, D] of unit rows, on the device."""
        return torch.nn.functional.normalize(torch.cat([part.to(self._device) for part in embeddings]))

    def rank(
        self,
        embeddings: Any,
        options: Sequence[QueryOptions],
        matches: Sequence[LexicalMatches] = (),
        layers: Layers = NO_LAYERS,
    ) -> list[Ranked]:
        """Rank for each row of `embeddings`, float32 [B, D], unit length, with the lexical matches of each query.

        The embeddings are a tensor on the device or an array.
        """
        if not len(self._index.thresholds):
            return [Ranked.empty()] * len(options)
        queries = torch.as_tensor(embeddings, device=self._device)
        host = queries.cpu().numpy()
        layers = personal.counted(layers, matches)
        # On the host, where q' is needed too: a layer does to a query the same on every device.
        moved = personal.moved(host, layers)
        both = torch.cat([queries, torch.from_numpy(moved).to(self._device)]) if len(moved) else queries
        scores = (both.half() @ self._half.T).float()  # [B + n, P]
        plain = Rows(host, queries, scores[: len(options)])
        by_layer = Rows(moved, both[len(options) :], scores[len(options) :])
        return self._rank(plain.take, by_layer.take, options, matches or [NO_MATCHES] * len(options), layers)

    def _dense(self, rows: Rows, thresholds: BatchThresholds, top_k: Ints) -> BatchHits:
        pairs = self._candidates(rows.embeddings, rows.scores, thresholds, top_k)
        return select(pairs, rows.host, self._index, thresholds, top_k)

    def _near(self, rows: Rows, queries: Ints) -> tuple[Pairs, Pairs]:
        places, embeddings = torch.from_numpy(queries).to(self._device), rows.embeddings
        assert self._null_half is not None
        nulls = self._nearest_rows(embeddings, places, embeddings[places].half() @ self._null_half.T, self._null)
        return self._nearest_rows(embeddings, places, rows.scores[places], self._matrix), nulls

    def _best(self, rows: Rows) -> Floats:
        best: Floats = self._best_rows(rows.scores).cpu().numpy()
        return best

    def _nearest(self, rows: Rows, queries: Ints, services: Ints) -> BatchHits:
        """Pairs of a query and a service, in this order, by the service's phrase of the highest cosine."""
        of_pairs = [torch.from_numpy(part).to(self._device) for part in rows_of(queries, services, self._row_starts)]
        return nearest(self._pairs(rows.embeddings, *of_pairs), rows.host, self._index)

    def _candidates(self, queries: Any, scores: Any, thresholds: BatchThresholds, top_k: Ints) -> Pairs:
        """Rows that can be among the best of their query, with the room that float16 needs."""
        services = len(self._index.thresholds)
        kth = torch.from_numpy(np.minimum(top_k, services)[:, np.newaxis] - 1).to(self._device)
        threshold = torch.from_numpy(thresholds.table()).to(self._device)[:, self._service_of_row]
        # The k-th best of the services that reach their thresholds for certain bounds the candidates from below.
        certain = scores.masked_fill(scores < threshold + HALF_ROUNDING, -torch.inf)
        top = self._best_rows(certain).topk(int(kth.max()) + 1, dim=1).values
        bound = torch.maximum(top.gather(1, kth) - 2 * HALF_ROUNDING, threshold - HALF_ROUNDING)
        # So does the best phrase of the same service: without it, a catalog of few services with many phrases would
        # send every row.
        best = self._best_rows(scores)[:, self._service_of_row]
        bound = torch.maximum(bound, best - 2 * HALF_ROUNDING)
        return self._pairs(queries, *torch.nonzero(scores >= bound, as_tuple=True))

    def _nearest_rows(self, queries: Any, places: Any, scores: Any, matrix: Any) -> Pairs:
        """The rows of a matrix that can be the nearest to some queries of a batch, by float16 scores of these."""
        scores = scores.float()
        place, row = torch.nonzero(scores >= scores.amax(1, keepdim=True) - 2 * HALF_ROUNDING, as_tuple=True)
        return self._pairs(queries, places[place], row, matrix)

    def _pairs(self, queries: Any, query: Any, row: Any, matrix: Any = None) -> Pairs:
        """Pairs of a query [n] and a row [n] of the matrix of services or another, scored in float32 on the device."""
        exact = (queries[query] * (self._matrix if matrix is None else matrix)[row]).sum(1)
        return Pairs(*(part.cpu().numpy() for part in (query, row, exact)))

    def _best_rows(self, scores: Any) -> Any:
        """[B, S], the best row of each service, from [B, P]."""
        best = torch.full((len(scores), len(self._index.thresholds)), -torch.inf, device=self._device)
        return best.scatter_reduce_(1, self._service_of_row.expand_as(scores), scores, "amax")
