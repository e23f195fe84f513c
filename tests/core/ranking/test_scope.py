"""Queries that ask for what the app does not do: refused, explained, and no service is ever a null phrase."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from malgil_core.index.generation import Generation, NullPhrases
from malgil_core.lexical.index import BEGINS, INITIALS, NO_MATCHES, LexicalIndex, LexicalMatches
from malgil_core.ranking.cpu import CpuScorer
from malgil_core.ranking.cuda import CudaScorer
from malgil_core.ranking.request import lay_out
from malgil_core.ranking.scope import is_out_of_scope
from malgil_core.ranking.topk import unit
from malgil_core.ranking.types import Floats, QueryOptions, Ranked

from tests.index import generation, hits, random_generation, random_queries

SERVICES = np.array([[1, 0, 0], [0, 1, 0]], np.float32)
TOPICS = (b"weather", b"greetings")


def with_null(index: Generation, matrix: Any, topic_of_row: Sequence[int], **limits: float) -> Generation:
    """The index with null phrases; topic and phrase say which."""
    rows = np.asarray(matrix, np.float32)
    phrases = [f"null phrase {row}".encode() for row in range(len(rows))]
    null = NullPhrases(rows, np.asarray(topic_of_row, np.int32), TOPICS, phrases, **limits)
    return dataclasses.replace(index, null=null)


@pytest.fixture
def index() -> Generation:
    """Services 10 and 20 along two axes, two null phrases along a third and near it; one surface shows 20 alone."""
    plain = generation(SERVICES, [0, 1], [10, 20], [0.0, 0.95], {"RECO": np.array([False, True])})
    return with_null(plain, unit(np.array([[0, 0.1, 1], [0, 0, 1]], np.float32)), [0, 1], margin=0.05)


def matched(row: int, score: float, completion: int = 0) -> LexicalMatches:
    return LexicalMatches(np.array([row]), np.array([score]), np.array([completion]))


def rank(index: Generation, query: Sequence[float], matches: LexicalMatches = NO_MATCHES, **options: Any) -> Ranked:
    """The answer to one query, the same from both devices."""
    embeddings, asked = unit(np.array([query], np.float32)), [QueryOptions(**options)]
    (on_cpu,) = CpuScorer(index).rank(embeddings, asked, [matches])
    (on_cuda,) = CudaScorer(index, "cpu").rank(embeddings, asked, [matches])
    assert (hits(index, on_cpu), on_cpu.null) == (hits(index, on_cuda), on_cuda.null)
    return on_cpu


def test_a_query_nearer_to_a_null_phrase_than_to_any_service_finds_nothing_and_says_why(index: Generation) -> None:
    answer = rank(index, [0.3, 0.2, 1])
    assert not len(answer.services)
    assert answer.null
    assert (answer.null.row, answer.null.refused_by) == (0, "null")
    assert answer.null.score == pytest.approx(0.9548, abs=1e-3)
    assert answer.null.best == pytest.approx(0.2822, abs=1e-3)


def test_a_null_phrase_must_be_nearer_by_more_than_the_margin(index: Generation) -> None:
    assert rank(index, [1, 0, 1.05]).services.tolist() == [0]
    assert not len(rank(index, [1, 0, 1.2]).services)
    near = rank(index, [1, 0, 1.05]).null
    assert near
    assert near.refused_by == ""
    assert near.score > near.best


def test_a_null_phrase_is_never_a_hit(index: Generation) -> None:
    answer = rank(index, [0, 0, 1], top_k=1000, null=False)
    assert answer.services.tolist() == [0]  # the other one does not reach its threshold
    rng = np.random.default_rng(1)
    big = with_null(random_generation(rng, 700, 90), rng.normal(size=(40, 16)), [0] * 20 + [1] * 20, margin=3.0)
    queries = random_queries(rng, 8, big)
    for scorer in (CpuScorer(big), CudaScorer(big, "cpu")):
        for ranked in scorer.rank(queries, [QueryOptions(1000)] * 8):
            assert ranked.rows.max() < 700
            assert len(ranked.services) == len(set(ranked.services.tolist())) <= 90


def test_a_request_can_switch_null_phrases_off(index: Generation) -> None:
    answer = rank(index, [0.3, 0.2, 1], null=False)
    assert answer.services.tolist() == [0]
    assert answer.null is None


def test_under_the_floor_a_query_finds_nothing_though_no_null_phrase_is_nearer(index: Generation) -> None:
    assert index.null
    floored = dataclasses.replace(index, null=dataclasses.replace(index.null, floor=0.8))
    query = [0.7, 0.7, 0.01]
    assert rank(index, query).services.tolist() == [0]
    answer = rank(floored, query)
    assert not len(answer.services)
    assert answer.null
    assert answer.null.refused_by == "floor"
    assert rank(floored, query, null=False).services.tolist() == [0]


def test_what_is_in_scope_is_so_on_every_surface_and_with_every_threshold(index: Generation) -> None:
    east = [1, 0, 0.9]
    options: tuple[dict[str, Any], ...] = ({}, {"surface": "RECO"}, {"min_score": 0.99})
    for option in options:
        found = rank(index, east, **option).null
        assert found
        assert found.best == pytest.approx(0.7433, abs=1e-3)  # of service 10, which two of them do not show
        assert found.refused_by == ""
        refused = rank(index, [0.3, 0.2, 1], **option).null
        assert refused
        assert refused.refused_by == "null"


def test_a_lexical_match_counts_for_the_service_as_it_does_among_hits(index: Generation) -> None:
    query = [0.5, 0, 0.9]
    assert not len(rank(index, query).services)
    answer = rank(index, query, matched(0, 0.8))
    assert answer.services.tolist() == [0]
    assert answer.null
    assert answer.null.best == answer.scores[0]


def test_a_half_typed_word_of_a_service_is_not_compared_with_null_phrases(index: Generation) -> None:
    answer = rank(index, [0, 0, 1], matched(0, 0.3, BEGINS))
    assert answer.services.tolist() == [0]
    assert answer.null is None


def test_consonants_that_are_most_initials_of_a_phrase_are_refused_only_if_they_are_a_null_phrase(
    index: Generation,
) -> None:
    near, same = [0.3, 0, 1], [0, 0, 1]
    assert not len(rank(index, near).services)
    assert rank(index, near, matched(0, 0.3, INITIALS)).services.tolist() == [0]
    assert not len(rank(index, same, matched(0, 0.3, INITIALS)).services)


def test_the_first_of_equal_null_phrases_is_named_whatever_shares_the_batch(index: Generation) -> None:
    twice = with_null(index, np.array([[0, 0, 1]] * 3, np.float32), [0, 0, 1])
    for batch in (1, 5, 64):
        queries = unit(np.random.default_rng(batch).normal(size=(batch, 3)).astype(np.float32))
        queries[0] = [0, 0, 1]
        found = CpuScorer(twice).rank(queries, [QueryOptions()] * batch)[0].null
        assert found
        assert found.row == 0


def test_limits_hold_as_they_are_written() -> None:
    best, null = np.array([0.9, 0.9, 0.8], np.float32), np.array([0.92, 0.93, 0.0], np.float32)
    assert is_out_of_scope(best, null, 0.025).tolist() == [False, True, False]
    assert is_out_of_scope(best, null, 0.025, 0.85).tolist() == [False, True, True]


WORDS = ("송금", "환전", "대출 이자", "카드 분실", "보험금 청구", "용돈")


@pytest.mark.parametrize("seed", range(4))
def test_an_answer_does_not_depend_on_the_batch_or_the_device(seed: int) -> None:
    rng = np.random.default_rng(seed)
    plain = random_generation(rng, 1500, 200, closeness=4)
    phrases = [f"{WORDS[row % len(WORDS)]} {row}" for row in range(1500)]
    lexical = LexicalIndex.of(phrases, plain.is_name)
    nulls = unit((rng.normal(size=(300, 16)) + 4).astype(np.float32))
    index = with_null(
        dataclasses.replace(plain, lexical=lexical), nulls, [0] * 100 + [1] * 200, margin=0.002, floor=0.86
    )
    queries = random_queries(rng, 64, index, closeness=4)
    texts = [("송ㄱ", "ghkswjs", "전혀 다른 말", "ㄷㅊ", "카드 잃어버림", "날씨")[i % 6] for i in range(64)]
    options = [QueryOptions((1, 10, 300)[i % 3], (None, "RECO")[i % 2], None, i % 5 != 0) for i in range(64)]
    matches = lexical.all_matches(texts)
    cpu, cuda = CpuScorer(index), CudaScorer(index, "cpu")
    together = cpu.rank(queries, options, matches)
    outputs = lay_out(index, together, options)
    assert {b"", b"null"} <= set(outputs["refused_by"].ravel())
    for i, (mine, other) in enumerate(zip(together, cuda.rank(queries, options, matches), strict=True)):
        (alone,) = cpu.rank(queries[i : i + 1], options[i : i + 1], matches[i : i + 1])
        for found in (alone, other):
            assert hits(index, found) == hits(index, mine)
            assert found.null == mine.null
        assert mine.null is None or options[i].null


def test_refusals_are_those_of_a_plain_comparison() -> None:
    rng = np.random.default_rng(5)
    plain = random_generation(rng, 1500, 200, closeness=4)
    nulls: Floats = unit((rng.normal(size=(2000, 16)) + 4).astype(np.float32))
    index = with_null(plain, nulls, [0] * 2000, margin=0.004)
    queries = random_queries(rng, 64, index, closeness=4)
    best = np.round(queries.astype(np.float64) @ index.matrix.T.astype(np.float64), 6).max(axis=1).astype(np.float32)
    null = np.round(queries.astype(np.float64) @ nulls.T.astype(np.float64), 6)
    expected = null.max(axis=1).astype(np.float32).astype(np.float64) - best > 0.004
    found = [ranked.null for ranked in CpuScorer(index).rank(queries, [QueryOptions()] * 64)]
    assert 5 < expected.sum() < 60
    assert [bool(one and one.refused_by) for one in found] == expected.tolist()
    assert [one and one.row for one in found] == null.argmax(axis=1).tolist()
    assert [one and one.best for one in found] == best.tolist()
