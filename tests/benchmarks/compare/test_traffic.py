"""The traffic is the one that the table names."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from benchmarks.compare import traffic

IDS = [np.array([0, *range(10, 10 + n), 2]) for n in (3, 6, 9)]


def test_log_normal_lengths_have_the_mean_and_bounds_that_are_reported() -> None:
    lengths = traffic.log_normal(1024)
    assert lengths.mean() == pytest.approx(10, abs=0.3)
    assert 3 <= lengths.min() < 5
    assert 40 < lengths.max() <= 64
    assert np.median(lengths) < lengths.mean()


def test_uniform_lengths_reach_both_ends() -> None:
    lengths = traffic.uniform(1024)
    assert (lengths.min(), lengths.max()) == (4, 128)
    assert lengths.mean() == pytest.approx(66, abs=1)


@pytest.mark.parametrize("lengths", [traffic.log_normal, traffic.uniform])
def test_every_side_gets_the_same_traffic_however_far_it_comes(
    lengths: Callable[[int], traffic.Ids],
) -> None:
    drawn = lengths(1024)
    np.testing.assert_array_equal(drawn, lengths(1024))
    for end in (64, 256, 640):
        assert drawn[:end].mean() == pytest.approx(drawn.mean(), rel=0.05)


def test_requests_have_the_lengths_drawn_and_the_special_tokens_of_real_texts() -> None:
    made = traffic.requests(IDS, np.array([3, 64, 2]))
    assert [len(ids) for ids in made] == [3, 64, 2]
    for ids in made:
        assert (ids[0], ids[-1]) == (0, 2)
        assert not {0, 2} & {*ids[1:-1].tolist()}


def test_a_bucket_is_the_next_larger_one_and_too_long_a_request_is_refused() -> None:
    assert [traffic.bucket(n) for n in (3, 8, 9, 64, 65, 128)] == [8, 8, 16, 64, 128, 128]
    with pytest.raises(ValueError, match="129 tokens"):
        traffic.bucket(129)


def test_padding_is_masked() -> None:
    inputs = traffic.padded(np.array([5, 6, 7]), 5)
    assert inputs["input_ids"].tolist() == [5, 6, 7, 0, 0]
    assert inputs["attention_mask"].tolist() == [1, 1, 1, 0, 0]


def test_queries_are_all_labelled_ones_in_the_same_order_every_time() -> None:
    queries = traffic.queries()
    assert len(set(queries)) == len(queries) > 500
    assert queries == traffic.queries()
