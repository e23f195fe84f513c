"""The ranking meant for a GPU gives the CPU's answers: on torch's CPU everywhere, on CUDA where there is one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from malgil_core.index.reader import Generation
from malgil_core.ranking.cpu import CpuScorer
from malgil_core.ranking.cuda import CudaScorer
from malgil_core.ranking.topk import unit
from malgil_core.ranking.types import Floats, QueryOptions

from tests.index import brute_force, generation, hits, random_generation, random_queries

DEVICES = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
WANTS = [
    QueryOptions(1, "RARE"),
    QueryOptions(),
    QueryOptions(1000),
    QueryOptions(10, "RECO", 0.05),
    QueryOptions(5, None, 0.93),
]


def assert_same(index: Generation, queries: Floats, options: list[QueryOptions], device: str) -> None:
    """The same ids, and scores within a millionth."""
    ours = CudaScorer(index, device).rank(torch.from_numpy(queries).to(device), options)
    for one, other in zip(ours, CpuScorer(index).rank(queries, options), strict=True):
        mine, theirs = hits(index, one), hits(index, other)
        assert [hit[0] for hit in mine] == [hit[0] for hit in theirs]
        np.testing.assert_allclose([hit[2] for hit in mine], [hit[2] for hit in theirs], rtol=0, atol=1e-6)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(("closeness", "least"), [(0.0, -1), (4.0, 0.78)])
@pytest.mark.parametrize("rows", [1, 511, 513, 5000])
def test_a_gpu_finds_what_a_cpu_finds(device: str, closeness: float, least: float, rows: int) -> None:
    rng = np.random.default_rng(rows)
    index = random_generation(rng, rows, 900, dimension=384, closeness=closeness)
    queries = random_queries(rng, len(WANTS), index, closeness)
    assert (queries @ index.matrix.T).min() >= least
    assert_same(index, queries, WANTS, device)


@pytest.mark.parametrize("device", DEVICES)
def test_equal_phrases_tie_on_a_gpu_and_come_in_the_order_of_ids(device: str) -> None:
    rng = np.random.default_rng(5)
    few = unit(rng.normal(size=(6, 384)).astype(np.float32))
    index = generation(few[rng.integers(0, 6, 900)], np.sort(rng.integers(0, 300, 900)), rng.permutation(300))
    queries = unit(few + 0.01 * rng.normal(size=few.shape).astype(np.float32))
    for ranked in CudaScorer(index, device).rank(queries, [QueryOptions(40)] * 6):
        scores = ranked.scores.tolist()
        ids = index.ids_padded[ranked.services].tolist()
        assert len(set(scores)) < len(scores)
        assert list(zip(scores, ids, strict=True)) == sorted(zip(scores, ids, strict=True), key=lambda x: (-x[0], x[1]))
    assert_same(index, queries, [QueryOptions(40)] * 6, device)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32),
    st.sampled_from([1, 2, 40, 700]),
    st.sampled_from([1, 3, 700]),
    st.sampled_from([0.0, 4.0]),
    st.builds(
        QueryOptions,
        top_k=st.sampled_from([1, 2, 10, 1000]),
        surface=st.sampled_from([None, "RECO", "RARE"]),
        min_score=st.none() | st.floats(-1, 1) | st.sampled_from([0.85, 0.95]),
    ),
)
def test_every_answer_of_a_gpu_is_that_of_looking_at_everything(
    seed: int, rows: int, services: int, closeness: float, wanted: QueryOptions
) -> None:
    rng = np.random.default_rng(seed)
    index = random_generation(rng, rows, services, closeness=closeness)
    (query,) = queries = random_queries(rng, 1, index, closeness)
    assert hits(index, CudaScorer(index, "cpu").rank(queries, [wanted])[0]) == brute_force(index, query, wanted)


@pytest.mark.parametrize("device", DEVICES)
def test_a_hit_is_found_on_a_gpu_when_everything_that_scores_better_is_held_back(device: str) -> None:
    rng = np.random.default_rng(6)
    plain = random_generation(rng, 1200, 400, dimension=48)
    queries = random_queries(rng, 1, plain)
    best = np.full(400, -np.inf, np.float32)
    np.maximum.at(best, plain.service_of_row, plain.matrix @ queries[0])
    thresholds = np.where(best == best.min(), -1, 1)
    index = generation(plain.matrix, plain.service_of_row, plain.ids_padded[:-1], thresholds)
    answer = hits(index, CudaScorer(index, device).rank(queries, [QueryOptions()])[0])
    assert [hit[0] for hit in answer] == [int(index.ids_padded[best.argmin()])]


@pytest.mark.parametrize("device", DEVICES)
def test_a_catalogue_without_open_services_answers_with_nothing_on_a_gpu(device: str) -> None:
    index = generation(np.empty((0, 16), np.float32), [], [])
    queries = unit(np.ones((2, 16), np.float32))
    for ranked in CudaScorer(index, device).rank(
        torch.from_numpy(queries).to(device), [QueryOptions(), QueryOptions(3, None, 0.5)]
    ):
        assert len(ranked.services) == len(ranked.rows) == len(ranked.scores) == 0
