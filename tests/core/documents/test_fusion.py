"""Fusion: words help where they say something, and take nothing away where they do not."""

from __future__ import annotations

from malgil_core.documents.fusion import CHANCE, PHRASE_CHANCE, collapsed, full_score, fused


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


def test_words_of_a_short_phrase_count_sooner_than_those_of_a_passage() -> None:
    between = (CHANCE + PHRASE_CHANCE) / 2
    found = fused({"phrase": 0.8, "passage": 0.8}, {"phrase": between, "passage": between}, {"phrase"})
    assert found["phrase"] > found["passage"] == 0.8


def test_one_phrase_that_is_near_by_chance_does_not_outdo_a_document_of_which_two_are() -> None:
    documents = {"a1": "a", "a2": "a", "b1": "b", "b2": "b"}
    found = collapsed({"a1": 0.95, "a2": 0.7, "b1": 0.9, "b2": 0.89}, documents, {"a1", "b1"})
    assert list(found) == ["b", "a"]


def test_passages_of_long_documents_are_not_averaged() -> None:
    found = collapsed({"a1": 0.9, "a2": 0.1, "b1": 0.8}, {"a1": "a", "a2": "a", "b1": "b"}, set())
    assert found == {"a": (0.9, "a1"), "b": (0.8, "b1")}
    assert collapsed({}, {}, set()) == {}
