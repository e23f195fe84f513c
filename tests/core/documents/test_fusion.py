"""Fusion: words help where they say something, and take nothing away where they do not."""

from __future__ import annotations

from malgil_core.documents.fusion import CHANCE, full_score, fused


def test_words_that_match_by_chance_leave_the_order_of_dense_similarity() -> None:
    dense = {"a": 0.9, "b": 0.8, "c": 0.7}
    found = fused(dense, {"c": CHANCE, "b": CHANCE / 2})
    assert found == dense


def test_a_passage_of_the_querys_very_words_comes_before_one_that_is_a_little_nearer() -> None:
    found = fused({"near": 0.86, "words": 0.84}, {"words": 0.6})
    assert found["words"] > found["near"]


def test_a_passage_that_only_words_found_is_among_the_candidates() -> None:
    assert set(fused({"a": 0.9}, {"b": 0.5})) == {"a", "b"}
    assert fused({}, {}) == {}
    assert full_score({}) > 0
