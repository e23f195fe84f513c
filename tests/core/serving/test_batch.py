"""A batch of requests: each gets the answer that it would get alone."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from malgil_core.index.generation import Generation
from malgil_core.lexical.index import LexicalIndex
from malgil_core.ranking.cpu import CpuScorer
from malgil_core.ranking.request import SearchRequest
from malgil_core.ranking.types import Scorer
from malgil_core.serving.batch import answer
from malgil_core.serving.follower import Serving
from malgil_core.serving.metrics import Metrics

from tests.core.serving.test_metrics import Endpoint
from tests.index import random_generation, random_queries

QUERIES = ["송금", "ghkswjs", "ㄷㅊ", "보험금 청구", "이체 한도", "용돈", "카드", "대"]


@pytest.fixture(scope="module")
def serving() -> Serving[Scorer]:
    plain = random_generation(np.random.default_rng(7), 300, 60)
    phrases = [f"{QUERIES[row % len(QUERIES)]} {row}" for row in range(300)]
    index = dataclasses.replace(plain, lexical=LexicalIndex.of(phrases, plain.is_name))
    return Serving(index, CpuScorer(index))


def request(index: Generation, queries: list[str], seed: int, **options: Any) -> SearchRequest:
    embeddings = random_queries(np.random.default_rng(seed), len(queries), index)
    texts = np.array([[query.encode()] for query in queries], np.object_)
    return SearchRequest.parse({"query": texts, "embedding": embeddings, **options}, index)


def test_a_request_is_answered_in_a_batch_as_it_is_alone_and_counted_once(serving: Serving[Scorer]) -> None:
    index, endpoint = serving.generation, Endpoint()
    metrics = Metrics(endpoint)
    requests = [
        request(index, QUERIES[:1], 1),
        request(index, QUERIES[1:4], 2, top_k=np.array([[1], [3], [200]], np.int32)),
        request(index, QUERIES[4:6], 3, min_score=np.array([[0.9], [-1.0]], np.float32)),
        request(index, QUERIES[6:], 4, surface=np.array([[b"RECO"], [b"RARE"]], np.object_)),
    ]
    together = answer(serving, requests, metrics)
    assert [outputs["id"].shape for outputs in together] == [(1, 10), (3, 200), (2, 10), (2, 10)]
    for one, outputs in zip(requests, together, strict=True):
        (alone,) = answer(serving, [one], metrics)
        for name, array in outputs.items():
            np.testing.assert_array_equal(array, alone[name])
    metrics.send()
    assert endpoint.values["malgil_queries_total"] == 2 * len(QUERIES)


def test_nothing_is_ranked_when_every_request_of_a_batch_was_refused(serving: Serving[Scorer]) -> None:
    assert answer(serving, [], Metrics(Endpoint())) == []


def test_a_request_without_its_query_or_embedding_is_told_which(serving: Serving[Scorer]) -> None:
    index = serving.generation
    for missing in ("query", "embedding"):
        tensors = {
            "query": np.array([[b"x"]], np.object_),
            "embedding": np.ones((1, index.dimension), np.float32),
            "top_k": np.array([[3]], np.int32),
        }
        tensors.pop(missing)
        with pytest.raises(ValueError, match=rf"^{missing} is missing: a request must have it$"):
            SearchRequest.parse(tensors, index)
