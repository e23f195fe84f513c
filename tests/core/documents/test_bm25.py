"""BM25 as sparse vectors: the same ranking as the formula's, whatever was stored first."""

from __future__ import annotations

import math

import numpy as np
import pytest
from malgil_core.documents import bm25
from malgil_core.documents.bm25 import UNITS, Statistics

TEXTS = [
    "이체 한도를 올리는 방법",
    "이체 수수료는 얼마인가요",
    "카드를 잃어버렸어요",
    "한도 한도 한도",
    "ATM 수수료 50%",
]


def statistics(texts: list[str]) -> Statistics:
    made = Statistics()
    for text in texts:
        made.add(bm25.units(text))
    return made


def test_the_inner_product_is_bm25_so_that_rare_words_decide() -> None:
    counts = [bm25.units(text) for text in TEXTS]
    mean = float(np.mean([sum(found.values()) for found in counts]))
    query = bm25.units("이체 한도")
    weights = statistics(TEXTS).query_weights("이체 한도")
    for found in counts:
        expected = 0.0
        for unit, times in query.items():
            holding = sum(unit in other for other in counts)
            if holding:
                idf = math.log(1 + (len(TEXTS) - holding + 0.5) / (holding + 0.5))
                length = 1 - bm25.B + bm25.B * sum(found.values()) / mean
                expected += times * idf * found[unit] * (bm25.K1 + 1) / (found[unit] + bm25.K1 * length)
        assert bm25.score(weights, bm25.passage_weights(found, mean)) == pytest.approx(expected)


def test_a_deleted_passage_makes_its_words_as_rare_as_they_were() -> None:
    kept = statistics(TEXTS)
    kept.add(bm25.units("새 글"))
    kept.remove(bm25.units("새 글"))
    assert np.array_equal(kept.doc_freq, statistics(TEXTS).doc_freq)
    assert kept.passages == len(TEXTS)


def test_every_unit_has_a_number_of_its_own_within_the_bound() -> None:
    found = bm25.units("가 나다 abc 123 a ㅋㅋ z9 힣 ^^")
    assert all(0 <= unit < UNITS for unit in found)
    assert bm25.units("a").keys().isdisjoint(bm25.units("b").keys())
    assert not bm25.units("😀 …")


def test_statistics_are_the_same_after_they_were_stored() -> None:
    stored = statistics(TEXTS)
    read = Statistics.unpack(stored.pack(), stored.passages, 12.5)
    assert np.array_equal(read.doc_freq, stored.doc_freq)
    assert (read.passages, read.mean_length) == (len(TEXTS), 12.5)


@pytest.mark.parametrize("packed", ["", "not base 85 \x00", Statistics().pack()[:-20], "00000"])
def test_damaged_statistics_are_refused_rather_than_ranked_by(packed: str) -> None:
    with pytest.raises(ValueError, match="statistics"):
        Statistics.unpack(packed, 1, 1.0)
