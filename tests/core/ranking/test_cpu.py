"""Ranking on the CPU, against the plain ranking of tests.index."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from malgil_core.index.generation import Generation
from malgil_core.ranking import cpu
from malgil_core.ranking.cpu import BLOCK_ROWS, ONE_THREAD_SIZE, CpuScorer, product_threads
from malgil_core.ranking.topk import unit
from malgil_core.ranking.types import Floats, QueryOptions

from tests.index import brute_force, generation, hits, random_generation, random_queries

DEFAULT = QueryOptions()
EAST: Floats = np.array([[1, 0]], dtype=np.float32)


def towards(*cosines: float) -> Floats:
    """Unit vectors in the plane with these cosines to EAST."""
    return np.array([(c, np.sqrt(1 - c * c)) for c in cosines], dtype=np.float32)


def found(index: Generation, wanted: QueryOptions = DEFAULT) -> list[int]:
    """The ids that EAST finds."""
    return [hit[0] for hit in hits(index, CpuScorer(index).rank(EAST, [wanted])[0])]


def test_a_service_is_found_by_its_best_phrase_and_says_which() -> None:
    index = generation(towards(0.1, 0.8, 0.3, 0.7, 0.2), [0, 0, 0, 1, 1], [20, 10])
    ranked = CpuScorer(index).rank(EAST, [QueryOptions()])[0]
    assert ranked.rows.tolist() == [1, 3]
    np.testing.assert_allclose(ranked.scores, [0.8, 0.7], atol=1e-6)
    assert ranked.scores.dtype == np.float32


def test_a_service_does_not_show_below_its_threshold() -> None:
    index = generation(towards(0.71, 0.7, 0.69), [0, 1, 2], [1, 2, 3], thresholds=[0.72, 0.7, 0.7])
    assert found(index) == [2]  # exactly at its threshold


def test_a_service_a_millionth_below_its_threshold_does_not_take_another_s_place() -> None:
    index = generation(towards(0.9, 0.5), [0, 1], [1, 2], thresholds=[0.900001, -np.inf])
    assert found(index, QueryOptions(top_k=1)) == [2]


def test_min_score_comes_on_top_of_thresholds_and_does_not_replace_them() -> None:
    index = generation(towards(0.9, 0.8, 0.5), [0, 1, 2], [1, 2, 3], thresholds=[0.95, -np.inf, -np.inf])
    assert found(index, QueryOptions(min_score=0.6)) == [2]
    assert found(index, QueryOptions(min_score=-1.0)) == [2, 3]


def test_a_service_does_not_show_on_a_surface_it_is_not_meant_for() -> None:
    shown = np.array([False, True, True])
    index = generation(towards(0.9, 0.8, 0.7), [0, 1, 2], [1, 2, 3], [-np.inf, 0.85, -np.inf], {"RECO": shown})
    assert found(index, QueryOptions(surface="RECO")) == [3]  # 2 is meant for it, and not sure enough
    assert found(index) == [1, 3]


@pytest.mark.parametrize(("rows", "services", "top_k"), [(700, 90, 30), (20_000, 9_000, 12)])
def test_asking_again_with_a_hit_s_own_score_keeps_the_hit(rows: int, services: int, top_k: int) -> None:
    rng = np.random.default_rng(0)
    index = random_generation(rng, rows, services)
    (query,) = random_queries(rng, 1, index)
    scorer = CpuScorer(index)
    first = scorer.rank(query[np.newaxis], [QueryOptions(top_k)])[0]
    assert len(first.scores) == top_k
    for n, score in enumerate(first.scores.tolist(), start=1):
        again = scorer.rank(query[np.newaxis], [QueryOptions(top_k, min_score=score)])[0]
        assert again.services[:n].tolist() == first.services[:n].tolist()
        assert (again.scores >= np.float32(score)).all()


def test_asking_for_more_hits_than_there_are_services_gives_them_all() -> None:
    index = generation(towards(0.9, 0.8, 0.7), [0, 0, 1], [1, 2])
    assert found(index, QueryOptions(top_k=1000)) == [1, 2]


def test_equal_scores_come_in_the_order_of_ids_every_time() -> None:
    index = generation(np.repeat(EAST, 6, axis=0), range(6), [60, 10, 50, 20, 40, 30])
    assert found(index) == [10, 20, 30, 40, 50, 60]
    assert found(index, QueryOptions(top_k=2)) == [10, 20]


@pytest.mark.parametrize("closeness", [0.0, 4.0])
@pytest.mark.parametrize("batch", [1, 3, 16])
def test_the_same_phrase_in_two_services_ties_exactly_wherever_it_lies(closeness: float, batch: int) -> None:
    # A matrix product adds in another order at the edges of its tiles: the float32 scores of equal rows differ there.
    rng = np.random.default_rng(1)
    matrix = unit((rng.normal(size=(1031, 384)) + closeness).astype(np.float32))
    copies = [0, 1, 17, 510, 511, 512, 513, 1023, 1024, 1029, 1030]
    for seed in range(20):
        rng = np.random.default_rng(seed)
        matrix[copies] = unit((rng.normal(size=(1, 384)) + closeness).astype(np.float32))
        index = generation(matrix, range(1031), rng.permutation(1031))
        queries = unit(matrix[[0]] + 0.005 * rng.normal(size=(batch, 384)).astype(np.float32))
        for top_k in (5, len(copies)):
            for ranked in CpuScorer(index).rank(queries, [QueryOptions(top_k)] * batch):
                assert len(set(ranked.scores.tolist())) == 1
                assert index.ids_padded[ranked.services].tolist() == sorted(index.ids_padded[copies])[:top_k]


@pytest.mark.parametrize("closeness", [0.0, 4.0])
def test_a_query_is_answered_as_if_it_had_come_alone(closeness: float) -> None:
    rng = np.random.default_rng(2)
    index = random_generation(rng, 1500, 300, dimension=384, closeness=closeness)
    queries = random_queries(rng, 24, index, closeness)
    asked: list[dict[str, Any]] = [{}, {"top_k": 1000}, {"surface": "RARE"}, {"min_score": 0.1}, {"top_k": 1}]
    options = [QueryOptions(**asked[i % len(asked)]) for i in range(24)]
    scorer = CpuScorer(index)
    together = scorer.rank(queries, options)
    for i, wanted in enumerate(options):
        alone = scorer.rank(queries[i : i + 1], [wanted])[0]
        assert hits(index, together[i]) == hits(index, alone)


def test_a_smaller_batch_after_a_larger_one_is_not_answered_from_the_larger_one() -> None:
    rng = np.random.default_rng(3)
    index = random_generation(rng, 600, 100)
    queries = random_queries(rng, 9, index)
    scorer = CpuScorer(index)
    scorer.rank(queries[1:], [QueryOptions()] * 8)
    assert hits(index, scorer.rank(queries[:1], [QueryOptions()])[0]) == brute_force(index, queries[0], QueryOptions())


def test_a_catalog_without_open_services_answers_with_nothing() -> None:
    index = generation(np.empty((0, 2), np.float32), [], [], surfaces={})
    for ranked in CpuScorer(index).rank(
        np.repeat(EAST, 3, axis=0), [QueryOptions(), QueryOptions(1000), QueryOptions(min_score=-1)]
    ):
        assert ranked.services.shape == ranked.rows.shape == ranked.scores.shape == (0,)


@st.composite
def questions(draw: st.DrawFn) -> tuple[Generation, Floats, list[QueryOptions]]:
    """An index around the size of blocks, queries, and options from greedy to impossible."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    blocks = st.sampled_from([1, 2, BLOCK_ROWS - 1, BLOCK_ROWS, BLOCK_ROWS + 1, 2 * BLOCK_ROWS + 1, 5 * BLOCK_ROWS])
    rows, closeness = draw(blocks), draw(st.sampled_from([0.0, 4.0]))
    index = random_generation(rng, rows, draw(st.sampled_from([1, 3, 40, 5000])), closeness=closeness)
    queries = random_queries(rng, draw(st.integers(1, 4)), index, closeness)
    wanted = st.builds(
        QueryOptions,
        top_k=st.sampled_from([1, 2, 10, 1000]),
        surface=st.sampled_from([None, "RECO", "RARE"]),
        min_score=st.none() | st.floats(-1, 1) | st.sampled_from([0.85, 0.95]),
    )
    return index, queries, draw(st.lists(wanted, min_size=len(queries), max_size=len(queries)))


@settings(max_examples=120, deadline=None)
@given(questions())
def test_no_service_is_missed_and_none_misplaced(question: tuple[Generation, Floats, list[QueryOptions]]) -> None:
    index, queries, options = question
    for query, wanted, ranked in zip(queries, options, CpuScorer(index).rank(queries, options), strict=True):
        assert hits(index, ranked) == brute_force(index, query, wanted)


def test_many_queries_that_must_look_at_every_row_are_answered_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(8)
    index = random_generation(rng, 6 * BLOCK_ROWS, 900)
    queries = random_queries(rng, 7, index)
    surfaces = (None, "RARE", "RECO", None, "RARE", "RECO", None)
    options = [QueryOptions(*asked) for asked in zip((1, 2, 10, 1, 40, 3, 1), surfaces, strict=True)]
    monkeypatch.setattr(cpu, "PART_ROWS", 4 * BLOCK_ROWS)
    for query, wanted, ranked in zip(queries, options, CpuScorer(index).rank(queries, options), strict=True):
        assert hits(index, ranked) == brute_force(index, query, wanted)


@pytest.mark.parametrize("rows", [511, 512, 513, 5000])
@pytest.mark.parametrize("left", [0, 1, 12])
def test_hits_are_found_when_everything_that_scores_better_is_below_its_threshold(rows: int, left: int) -> None:
    rng = np.random.default_rng(rows)
    plain = random_generation(rng, rows, rows // 2, dimension=48)
    (query,) = random_queries(rng, 1, plain)
    scores = plain.matrix @ query
    best = np.full(len(plain.thresholds), -np.inf, np.float32)
    np.maximum.at(best, plain.service_of_row, scores)
    thresholds = np.full(len(best), 1, np.float32)
    thresholds[np.argsort(best)[:left]] = -1  # only the worst may show
    index = generation(plain.matrix, plain.service_of_row, plain.ids_padded[:-1], thresholds)
    answer = hits(index, CpuScorer(index).rank(query[np.newaxis], [QueryOptions()])[0])
    assert answer == brute_force(index, query, QueryOptions())
    assert len(answer) == min(left, 10)


@given(st.integers(0, 2**32), st.floats(1e-6, 1e6))
@example(0, 1.0)
def test_the_length_of_an_embedding_does_not_change_what_is_found(seed: int, length: float) -> None:
    vectors = np.random.default_rng(seed).normal(size=(3, 16)).astype(np.float32)
    np.testing.assert_allclose(unit(vectors * np.float32(length)), unit(vectors), atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(unit(vectors), axis=1), 1, atol=1e-6)
    assert not np.isnan(unit(np.zeros((1, 16), np.float32))).any()


def test_a_small_index_leaves_the_processors_to_the_encoder() -> None:
    width = 2**10
    small, large = (
        generation(np.empty((ONE_THREAD_SIZE // width + more, width), np.float32), [], []) for more in (0, 1)
    )
    assert product_threads(small) == 1
    assert product_threads(large) == len(os.sched_getaffinity(0))
