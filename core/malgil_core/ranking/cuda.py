"""The same ranking with torch, on a GPU: the matrix stays there, and only candidates leave.

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
from malgil_core.ranking.fusion import merge, rows_of, services_of
from malgil_core.ranking.topk import row_starts, select
from malgil_core.ranking.types import Index, QueryOptions, Ranked, ScoreThresholds

# |error| of a float16 product of unit vectors: 2⁻¹¹ for each factor and 2⁻¹¹ for the result, with room.
HALF_ROUNDING = 2e-3


class CudaScorer:
    """Exact top-k with torch on `device`; tested on "cpu" for the same answers."""

    def __init__(self, index: Index, device: str = "cuda") -> None:
        self._index = index
        self._floors = ScoreThresholds(index)
        self._no_floor = np.full(len(index.thresholds), -np.inf, dtype=np.float32)
        self._row_starts = row_starts(index)
        self._device = torch.device(device)
        self._matrix = torch.from_numpy(index.matrix).to(self._device)
        # torch may add up halves in halves, which HALF_ROUNDING has no room for.
        torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction = False
        self._half = self._matrix.half()
        self._service_of_row = torch.from_numpy(index.service_of_row.astype(np.int64)).to(self._device)

    def rank(
        self, embeddings: Any, options: Sequence[QueryOptions], evidence: Sequence[LexicalMatches] = ()
    ) -> list[Ranked]:
        """Rank for each row of `embeddings`, float32 [B, D], unit length, a tensor on the device or an array.

        With the evidence of each query's letters if there is any.
        """
        queries = torch.as_tensor(embeddings, device=self._device)
        floors = [self._floors.of(wanted) for wanted in options]
        services = len(self._index.thresholds)
        if services == 0:
            return [Ranked.nothing()] * len(options)
        scores = (queries.half() @ self._half.T).float()  # [B, P]
        floor = torch.from_numpy(np.stack(floors)).to(self._device)[:, self._service_of_row]
        # The k-th best of the services that reach their floors for certain bounds the candidates from below.
        certain = scores.masked_fill(scores < floor + HALF_ROUNDING, -torch.inf)
        top = self._best(certain).topk(max(min(wanted.top_k, services) for wanted in options), dim=1).values
        kth = torch.tensor([[min(wanted.top_k, services) - 1] for wanted in options], device=self._device)
        bound = torch.maximum(top.gather(1, kth) - 2 * HALF_ROUNDING, floor - HALF_ROUNDING)
        # So does the best phrase of the same service: without it, a catalogue of few services with many phrases
        # would send every row.
        own = self._best(scores)[:, self._service_of_row]
        bound = torch.maximum(bound, own - 2 * HALF_ROUNDING)
        query, row = torch.nonzero(scores >= bound, as_tuple=True)
        dense = self._select(queries, query, row, floors, [wanted.top_k for wanted in options])
        if not any(len(one.rows) for one in evidence):
            return dense
        named = [services_of(one, self._index)[0] for one in evidence]
        spoken_for = [rows_of(one, self._row_starts) for one in named]
        asked = np.repeat(np.arange(len(spoken_for)), [len(own) for own in spoken_for])
        query, row = (torch.from_numpy(part).to(self._device) for part in (asked, np.concatenate(spoken_for)))
        everyone = [self._no_floor] * len(options)
        spelled = self._select(queries, query, row, everyone, [len(own) for own in named])
        return [
            merge(by_meaning, by_letters, own, self._index, floor_of, wanted.top_k)
            for by_meaning, by_letters, own, floor_of, wanted in zip(
                dense, spelled, evidence, floors, options, strict=True
            )
        ]

    def _select(self, queries: Any, query: Any, row: Any, floors: list[Any], top_ks: list[int]) -> list[Ranked]:
        """The best of candidate rows [n] of the queries [n], ascending, scored again in float32 on the device."""
        exact = (queries[query] * self._matrix[row]).sum(1)
        where, rows, values = (t.cpu().numpy() for t in (query, row, exact))
        ends = np.searchsorted(where, np.arange(len(queries) + 1))
        return [
            select(rows[a:b], values[a:b], vector, self._index, floor, top_k)
            for (a, b), vector, floor, top_k in zip(pairwise(ends), queries.cpu().numpy(), floors, top_ks, strict=True)
        ]

    def _best(self, scores: Any) -> Any:
        """[B, S], the best row of each service, from [B, P]."""
        best = torch.full((len(scores), len(self._index.thresholds)), -torch.inf, device=self._device)
        return best.scatter_reduce_(1, self._service_of_row.expand_as(scores), scores, "amax")
