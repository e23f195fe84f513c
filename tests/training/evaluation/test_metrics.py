"""Metrics are those of the textbook."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import mannwhitneyu, spearmanr

from export.catalog.labelled import OUT_OF_SCOPE, Labelled
from training.evaluation import metrics
from training.evaluation.similarity import shares


def test_recall_and_mrr_by_kind_are_those_counted_by_hand() -> None:
    queries = [Labelled("a", 7, "keyword"), Labelled("b", 7, "keyword"), Labelled("c", 7, "synonym")]
    queries.insert(1, Labelled("weather", None, OUT_OF_SCOPE))
    found = metrics.score(queries, [[7, 1], [3], [1, 2, 7], [1, 2, 3]])
    assert found["keyword"] == {
        "recall@1": 0.5,
        "recall@5": 1.0,
        "mrr@10": pytest.approx((1 + 1 / 3) / 2),
        "queries": 2,
    }
    assert found["synonym"] == {"recall@1": 0.0, "recall@5": 0.0, "mrr@10": 0.0, "queries": 1}
    assert found["all"]["mrr@10"] == pytest.approx((1 + 1 / 3) / 3)
    assert OUT_OF_SCOPE not in found


def test_the_share_of_pairs_in_the_right_order_is_the_u_statistic() -> None:
    draw = np.random.default_rng(0)
    inside, outside = (draw.integers(0, 9, size).astype(np.float32) for size in (40, 30))
    expected = mannwhitneyu(inside, outside).statistic / (40 * 30)
    assert metrics.area_under_roc(inside, outside) == pytest.approx(expected)


def test_what_pairs_add_to_the_rank_correlation_has_it_as_mean() -> None:
    draw = np.random.default_rng(0)
    cosines, scores = draw.random(60).astype(np.float32), draw.integers(0, 6, 60).astype(np.float64)
    assert shares(cosines, scores).mean() == pytest.approx(100 * spearmanr(cosines, scores).statistic)


def test_an_encoder_that_finds_all_pairs_alike_gets_zero_and_not_nan() -> None:
    assert shares(np.zeros(4, np.float32), np.arange(4.0)).mean() == 0
