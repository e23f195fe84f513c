"""Fusion of dense and lexical similarity, on both devices, against a plain ranking of every service."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from malgil_core.index.generation import Generation
from malgil_core.lexical.index import LexicalMatches
from malgil_core.ranking import cpu
from malgil_core.ranking.cpu import CpuScorer
from malgil_core.ranking.cuda import CudaScorer
from malgil_core.ranking.fusion import fused
from malgil_core.ranking.types import Floats, QueryOptions, Ranked, Scorer

from tests.core.ranking.test_cpu import EAST, towards
from tests.index import generation, random_generation, random_queries


def matches_of(scores: dict[int, float]) -> LexicalMatches:
    """The lexical matches of these rows."""
    rows = sorted(scores)
    values = np.array([scores[row] for row in rows], dtype=np.float64)
    return LexicalMatches(np.array(rows, dtype=np.int64), values, np.zeros(len(rows), dtype=np.int64))


def rank(index: Generation, matches: LexicalMatches, options: QueryOptions | None = None) -> Ranked:
    return CpuScorer(index).rank(EAST, [options or QueryOptions()], [matches])[0]


@given(st.floats(-1, 1), st.floats(0, 1))
def test_a_lexical_match_only_ever_raises_a_score_and_never_above_one(dense: float, lexical: float) -> None:
    score = fused(np.array([dense], np.float32), np.array([lexical], np.float32))[0]
    assert np.float32(dense) - 1e-6 <= score <= 1


def test_without_a_lexical_match_the_score_is_the_cosine_so_that_thresholds_keep_their_meaning() -> None:
    index = generation(towards(0.9, 0.8), [0, 1], [1, 2])
    plain, none = CpuScorer(index).rank(EAST, [QueryOptions()])[0], rank(index, matches_of({}))
    assert plain.scores.tolist() == none.scores.tolist() == plain.dense.tolist()
    assert plain.lexical.tolist() == [0, 0]


def test_a_name_typed_halfway_comes_before_what_is_merely_near_in_meaning() -> None:
    index = generation(towards(0.9, 0.8), [0, 1], [1, 2])
    ranked = rank(index, matches_of({1: 0.75}))
    assert index.ids_padded[ranked.services].tolist() == [2, 1]
    np.testing.assert_allclose(ranked.scores, [0.95, 0.9], atol=1e-6)
    np.testing.assert_allclose(ranked.dense, [0.8, 0.9], atol=1e-6)
    np.testing.assert_allclose(ranked.lexical, [0.75, 0], atol=1e-6)


def test_a_threshold_holds_for_the_fused_score() -> None:
    index = generation(towards(0.8, 0.7), [0, 1], [1, 2], [0.94, 0.94])
    assert rank(index, matches_of({0: 0.75})).services.tolist() == [0]
    assert rank(index, matches_of({0: 0.65})).services.tolist() == []
    assert rank(index, matches_of({0: 0.75}), QueryOptions(min_score=0.96)).services.tolist() == []


def test_a_service_that_is_not_shown_here_is_not_shown_for_its_name_either() -> None:
    shown = np.array([False, True])
    index = generation(towards(0.8, 0.7), [0, 1], [1, 2], surfaces={"RECO": shown})
    assert rank(index, matches_of({0: 1.0}), QueryOptions(surface="RECO")).services.tolist() == [1]


def test_a_service_is_found_by_the_letters_of_one_phrase_and_the_cosine_of_another() -> None:
    index = generation(towards(0.5, 0.9, 0.91), [0, 0, 1], [1, 2])
    ranked = rank(index, matches_of({0: 0.2}))
    assert ranked.services.tolist() == [0, 1]
    assert ranked.rows.tolist() == [1, 2]  # a weak match: the phrase of the highest cosine
    assert rank(index, matches_of({0: 0.6})).rows.tolist() == [0, 2]  # a strong one: the phrase that matched


def plain_ranking(
    index: Generation, query: Floats, options: QueryOptions, matches: LexicalMatches
) -> list[tuple[int, float]]:
    """(id, score) as the documentation says it."""
    cosines = np.round(index.matrix.astype(np.float64) @ query.astype(np.float64), 6).astype(np.float32)
    scores = dict(zip(matches.rows.tolist(), matches.scores.tolist(), strict=True))
    found = []
    for service in range(len(index.thresholds)):
        rows = np.flatnonzero(index.service_of_row == service)
        share = np.array([max(scores.get(int(row), 0.0) for row in rows)], np.float32)
        score = float(fused(cosines[rows].max(keepdims=True), share)[0])
        enough = score >= index.thresholds[service] and (
            options.min_score is None or score >= np.float32(options.min_score)
        )
        if enough and (options.surface is None or index.surfaces[options.surface][service]):
            found.append((int(index.ids_padded[service]), score))
    return sorted(found, key=lambda hit: (-hit[1], hit[0]))[: options.top_k]


OPTIONS = st.builds(
    QueryOptions,
    top_k=st.sampled_from([1, 2, 10, 1000]),
    surface=st.sampled_from([None, "RECO", "RARE"]),
    min_score=st.none() | st.sampled_from([0.85, 0.95]),
)


@pytest.mark.parametrize("device", ["numpy", "numpy in parts", "torch"])
@settings(max_examples=80, deadline=None)
@given(
    st.integers(0, 2**32),
    st.sampled_from([1, 40, 700]),
    st.sampled_from([1, 3, 300]),
    st.lists(st.tuples(st.integers(0, 60), OPTIONS), min_size=1, max_size=5),
)
def test_no_service_is_missed_and_none_misplaced_whatever_matches_and_whatever_shares_the_batch(
    device: str, seed: int, rows: int, services: int, asked: list[tuple[int, QueryOptions]]
) -> None:
    rng = np.random.default_rng(seed)
    index = random_generation(rng, rows, services, closeness=4.0)
    queries = random_queries(rng, len(asked), index, 4.0)
    chosen = [rng.choice(rows, min(matched, rows), replace=False) for matched, _ in asked]
    matches = [matches_of({int(row): float(rng.choice([0.3, 0.9, 1.0])) for row in part}) for part in chosen]
    options = [query for _, query in asked]
    scorer: Scorer = CudaScorer(index, "cpu") if device == "torch" else CpuScorer(index)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cpu, "PART_ROWS", 2000 if device == "numpy in parts" else cpu.PART_ROWS)
        answers = scorer.rank(torch.from_numpy(queries) if device == "torch" else queries, options, matches)
    for query, query_options, found, ranked in zip(queries, options, matches, answers, strict=True):
        ids = index.ids_padded[ranked.services].tolist()
        expected = plain_ranking(index, query, query_options, found)
        assert list(zip(ids, ranked.scores.tolist(), strict=True)) == expected
