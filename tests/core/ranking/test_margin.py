"""Limits of null phrases without labels: at most the share of a catalog's phrases is lost that may be."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from malgil_core.index.generation import Generation, NullPhrases
from malgil_core.lexical.index import LexicalIndex
from malgil_core.ranking import margin
from malgil_core.ranking.cpu import CpuScorer
from malgil_core.ranking.margin import LeftOut, NullSettings
from malgil_core.ranking.topk import unit
from malgil_core.ranking.types import QueryOptions

from tests.index import generation, random_generation

WORDS = ("송금", "환전하기", "대출 이자", "카드 분실", "보험금 청구", "용돈", "적금 해지", "자동이체 등록")


def null_of(matrix: Any) -> NullPhrases:
    return NullPhrases(matrix, np.zeros(len(matrix), np.int32), [b"topic"], [b"phrase"] * len(matrix))


@pytest.fixture(scope="module")
def index() -> Generation:
    """600 phrases of 90 services with words in common, and 200 null phrases near some of them."""
    rng = np.random.default_rng(3)
    plain = random_generation(rng, 600, 90, closeness=3)
    phrases = [f"{WORDS[rng.integers(len(WORDS))]} {WORDS[rng.integers(len(WORDS))]} {row}" for row in range(600)]
    padded = np.empty(601, dtype=np.object_)
    padded[:] = [phrase.encode() for phrase in phrases] + [b""]
    return dataclasses.replace(
        plain,
        phrases_padded=padded,
        lexical=LexicalIndex.of(phrases, plain.is_name),
        null=null_of(unit((plain.matrix[::3] + rng.normal(size=(200, 16)) / 60).astype(np.float32))),
    )


@pytest.mark.parametrize("loss", [0.0, 0.003, 0.01, 0.03, 0.2])
def test_at_most_the_share_of_phrases_is_lost_that_may_be(index: Generation, loss: float) -> None:
    left_out = LeftOut.of(index)
    limits = NullSettings(loss).limits(index)
    assert limits["left_out"] == 600
    assert limits["lost"] <= loss
    assert limits["lost"] == pytest.approx(left_out.lost(limits["margin"], limits["floor"]), abs=1e-4)
    if limits["margin"] > 1e-5:  # and no more than needed
        assert left_out.lost(limits["margin"] - 1e-5, limits["floor"]) > loss


def test_what_a_phrase_scores_left_out_is_what_a_scorer_without_it_answers(index: Generation) -> None:
    left_out = LeftOut.of(index)
    for row in range(0, 600, 37):
        kept = np.delete(np.arange(600), row)
        _, service_of_row = np.unique(index.service_of_row[kept], return_inverse=True)
        phrases = [index.phrases_padded[i].decode() for i in kept]
        without = dataclasses.replace(
            index, matrix=index.matrix[kept], service_of_row=service_of_row.astype(np.int32), null=index.null,
        )  # fmt: skip
        if len(np.unique(service_of_row)) < 90:
            continue  # it was the only one of its service
        assert index.lexical
        matches = index.lexical.all_matches([index.phrases_padded[row].decode()])[0]
        own = matches.rows != row
        moved = matches.rows[own] - (matches.rows[own] > row)
        found = dataclasses.replace(
            matches, rows=moved, scores=matches.scores[own], completions=0 * matches.completions[own]
        )
        assert len(phrases) == 599
        (answer,) = CpuScorer(without).rank(index.matrix[row : row + 1], [QueryOptions()], [found])
        assert answer.null
        assert left_out.best[row] == pytest.approx(answer.null.best, abs=2e-6)
        begins = matches.completions[own].any()
        assert left_out.null[row] == (-1 if begins else pytest.approx(answer.null.score, abs=2e-6))


def test_a_given_margin_or_floor_is_taken_as_it_is_and_told_what_it_costs(index: Generation) -> None:
    limits = NullSettings(margin=0.5, floor=-1.0).limits(index)
    assert (limits["margin"], limits["floor"], limits["lost"]) == (0.5, None, 0.0)
    assert NullSettings(margin=0.0).limits(index)["lost"] > 0.01


def test_of_a_large_catalog_the_same_phrases_are_drawn_every_time(
    index: Generation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(margin, "MOST", 100)
    first = NullSettings().limits(index)
    assert first["left_out"] == 100
    assert NullSettings().limits(index) == first


def test_a_catalog_without_open_services_has_limits_too() -> None:
    empty = generation(np.empty((0, 16), np.float32), [], [])
    index = dataclasses.replace(
        empty, lexical=LexicalIndex.of([], np.empty(0, bool)), null=null_of(unit(np.ones((3, 16), np.float32)))
    )
    limits = NullSettings().limits(index)
    assert (limits["floor"], limits["lost"], limits["left_out"]) == (None, 0.0, 0)


def test_whether_a_publish_would_change_limits_is_told_by_what_was_given() -> None:
    made = {"settings": dataclasses.asdict(NullSettings(0.03, 0.01))}
    assert NullSettings().made(made)  # a margin that was given stays
    assert NullSettings(margin=0.01).made(made)
    assert not NullSettings(margin=0.02).made(made)
    assert not NullSettings(floor=0.8).made(made)
    assert not NullSettings(0.05).made(made)
