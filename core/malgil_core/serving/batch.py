"""A batch of search requests, ranked together."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from malgil_core.ranking.request import SearchRequest, lay_out_batch
from malgil_core.ranking.types import Layers, Scorer
from malgil_core.serving.follower import Serving
from malgil_core.serving.metrics import Metrics


def answer(serving: Serving[Scorer], requests: Sequence[SearchRequest], metrics: Metrics) -> list[dict[str, Any]]:
    """The output tensors of each request; their queries are ranked in one product, and counted."""
    if not requests:
        return []
    started = time.perf_counter()
    lexical = serving.generation.lexical
    queries = [query for request in requests for query in request.queries]
    matches = lexical.all_matches(queries) if lexical else []
    matched = time.perf_counter()
    options = [query for request in requests for query in request.options]
    embeddings = serving.scorer.join([request.embeddings for request in requests])
    layers = Layers.of([layer for request in requests for layer in request.layers])
    ranked = serving.scorer.rank(embeddings, options, matches, layers)
    metrics.count_batch(ranked, matched - started, time.perf_counter() - matched)
    return lay_out_batch(serving.generation, ranked, [request.options for request in requests])
