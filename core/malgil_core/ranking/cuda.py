"""Exact ranking of services on a GPU, with torch: the matrix stays there, and only candidates leave.

The wide product runs in float16; its candidates, taken with the room that float16 needs, are scored again in float32
and go through the same selection as on the CPU, so that both give the same answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch

from malgil_core.lexical.index import LexicalMatches
from malgil_core.ranking.fusion import matched_services, merge, rows_of
from malgil_core.ranking.topk import row_starts, select
from malgil_core.ranking.types import Index, QueryOptions, Ranked, ScoreThresholds

# |error| of a float16 product of unit vectors: 2⁻¹¹ for each factor and 2⁻¹¹ for the result, with room.
HALF_ROUNDING = 2e-3


class CudaScorer:
    """Exact top-k with torch on `device`; tested on "cpu" for the same answers."""

    def __init__(self, index: Index, device: str = "cuda") -> None:
        self._index = index
        self._thresholds = ScoreThresholds(index)
        self._no_thresholds = np.full(len(index.thresholds), -np.inf, dtype=np.float32)
        self._row_starts = row_starts(index)
        self._device = torch.device(device)
        self._matrix = torch.from_numpy(index.matrix).to(self._device)
        # torch may add up halves in halves, which HALF_ROUNDING has no room for.
        torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction = False
        self._half = self._matrix.half()
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
        queries = torch.as_tensor(embeddings, device=self._device)
        thresholds = [self._thresholds.of(query) for query in options]
        services = len(self._index.thresholds)
        if services == 0:
            return [Ranked.empty()] * len(options)
        scores = (queries.half() @ self._half.T).float()  # [B, P]
        threshold = torch.from_numpy(np.stack(thresholds)).to(self._device)[:, self._service_of_row]
        # The k-th best of the services that reach their thresholds for certain bounds the candidates from below.
        certain = scores.masked_fill(scores < threshold + HALF_ROUNDING, -torch.inf)
        top = self._best(certain).topk(max(min(query.top_k, services) for query in options), dim=1).values
        kth = torch.tensor([[min(query.top_k, services) - 1] for query in options], device=self._device)
        bound = torch.maximum(top.gather(1, kth) - 2 * HALF_ROUNDING, threshold - HALF_ROUNDING)
        # So does the best phrase of the same service: without it, a catalog of few services with many phrases would
        # send every row.
        best = self._best(scores)[:, self._service_of_row]
        bound = torch.maximum(bound, best - 2 * HALF_ROUNDING)
        query, row = torch.nonzero(scores >= bound, as_tuple=True)
        dense = self._select(queries, query, row, thresholds, [query.top_k for query in options])
        if not any(len(found.rows) for found in matches):
            return dense
        named = [matched_services(found, self._index)[0] for found in matches]
        rows = [rows_of(services, self._row_starts) for services in named]
        query_of_row = np.repeat(np.arange(len(rows)), [len(part) for part in rows])
        query, row = (torch.from_numpy(part).to(self._device) for part in (query_of_row, np.concatenate(rows)))
        no_thresholds = [self._no_thresholds] * len(options)
        matched = self._select(queries, query, row, no_thresholds, [len(services) for services in named])
        return [
            merge(by_cosine, with_match, found, self._index, lowest, query.top_k)
            for by_cosine, with_match, found, lowest, query in zip(
                dense, matched, matches, thresholds, options, strict=True
            )
        ]

    def _select(self, queries: Any, query: Any, row: Any, thresholds: list[Any], top_ks: list[int]) -> list[Ranked]:
        """The best of candidate rows [n] of the queries [n], ascending, scored again in float32 on the device."""
        exact = (queries[query] * self._matrix[row]).sum(1)
        where, rows, values = (t.cpu().numpy() for t in (query, row, exact))
        ends = np.searchsorted(where, np.arange(len(queries) + 1))
        spans = zip(pairwise(ends), queries.cpu().numpy(), thresholds, top_ks, strict=True)
        return [select(rows[a:b], values[a:b], vector, self._index, lowest, k) for (a, b), vector, lowest, k in spans]

    def _best(self, scores: Any) -> Any:
        """[B, S], the best row of each service, from [B, P]."""
        best = torch.full((len(scores), len(self._index.thresholds)), -torch.inf, device=self._device)
        return best.scatter_reduce_(1, self._service_of_row.expand_as(scores), scores, "amax")
