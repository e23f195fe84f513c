"""Exact ranking of services on a GPU, with torch: the matrix stays there, and only candidates leave.

The wide product runs in float16; its candidates, taken with the room that float16 needs, are scored again in float32
and go through the same selection as on the CPU, so that both give the same answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from malgil_core.lexical.index import NO_MATCHES, LexicalMatches
from malgil_core.ranking import scope
from malgil_core.ranking.fusion import ServiceMatches, merge, rows_of, with_lexical
from malgil_core.ranking.topk import BatchHits, Pairs, nearest, row_starts, select
from malgil_core.ranking.types import BatchThresholds, Index, Ints, QueryOptions, Ranked, ScoreThresholds

# |error| of a float16 product of unit vectors: 2⁻¹¹ for each factor and 2⁻¹¹ for the result, with room.
HALF_ROUNDING = 2e-3


class CudaScorer:
    """Exact top-k with torch on `device`; tested on "cpu" for the same answers."""

    def __init__(self, index: Index, device: str = "cuda") -> None:
        self._index = index
        self._thresholds = ScoreThresholds(index)
        self._row_starts = row_starts(index)
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
        self, embeddings: Any, options: Sequence[QueryOptions], matches: Sequence[LexicalMatches] = ()
    ) -> list[Ranked]:
        """Rank for each row of `embeddings`, float32 [B, D], unit length, with the lexical matches of each query.

        The embeddings are a tensor on the device or an array.
        """
        services = len(self._index.thresholds)
        if services == 0:
            return [Ranked.empty()] * len(options)
        queries = torch.as_tensor(embeddings, device=self._device)
        host = queries.cpu().numpy()
        thresholds = self._thresholds.of(options)
        top_k = np.array([query.top_k for query in options], dtype=np.int64)
        scores = (queries.half() @ self._half.T).float()  # [B, P]
        hits = select(self._candidates(queries, scores, thresholds, top_k), host, self._index, thresholds, top_k)
        matches = matches or [NO_MATCHES] * len(options)
        by_service = ServiceMatches.of(matches, self._index)
        matched: BatchHits | None = None
        if len(by_service.services):
            of_matches = [torch.from_numpy(part).to(self._device) for part in rows_of(by_service, self._row_starts)]
            matched = with_lexical(nearest(self._pairs(queries, *of_matches), host, self._index), by_service)
            hits = merge(hits, matched, by_service, self._index, thresholds, top_k)
        ranked = hits.split(len(options))
        if self._null is None or self._null_half is None:
            return ranked
        asked, by_initials = scope.compared(options, matches)
        if not len(asked):
            return ranked
        places = torch.from_numpy(asked).to(self._device)
        nulls = self._nearest_rows(queries, places, queries[places].half() @ self._null_half.T, self._null)
        services_near = self._nearest_rows(queries, places, scores[places], self._matrix)
        near = scope.Near(asked, by_initials, services_near, nulls)
        return scope.refuse(ranked, near, matched, host, self._index)

    def _candidates(self, queries: Any, scores: Any, thresholds: BatchThresholds, top_k: Ints) -> Pairs:
        """Rows that can be among the best of their query, with the room that float16 needs."""
        services = len(self._index.thresholds)
        kth = torch.from_numpy(np.minimum(top_k, services)[:, np.newaxis] - 1).to(self._device)
        threshold = torch.from_numpy(thresholds.table()).to(self._device)[:, self._service_of_row]
        # The k-th best of the services that reach their thresholds for certain bounds the candidates from below.
        certain = scores.masked_fill(scores < threshold + HALF_ROUNDING, -torch.inf)
        top = self._best(certain).topk(int(kth.max()) + 1, dim=1).values
        bound = torch.maximum(top.gather(1, kth) - 2 * HALF_ROUNDING, threshold - HALF_ROUNDING)
        # So does the best phrase of the same service: without it, a catalog of few services with many phrases would
        # send every row.
        best = self._best(scores)[:, self._service_of_row]
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

    def _best(self, scores: Any) -> Any:
        """[B, S], the best row of each service, from [B, P]."""
        best = torch.full((len(scores), len(self._index.thresholds)), -torch.inf, device=self._device)
        return best.scatter_reduce_(1, self._service_of_row.expand_as(scores), scores, "amax")
