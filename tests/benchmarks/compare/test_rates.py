"""An in-process ceiling counts what was done, over traffic that is whole."""

from __future__ import annotations

import time
from collections import Counter

import pytest

from benchmarks.compare import rates


def test_batches_are_full_and_none_is_empty() -> None:
    assert rates.cut([1, 2, 3, 4, 5], 2) == [[1, 2], [3, 4]]
    assert rates.cut([1, 2, 3, 4], 2) == [[1, 2], [3, 4]]
    assert rates.cut([1, 2], 64) == [[1, 2]]


@pytest.mark.parametrize("workers", [1, 2])
def test_short_batches_are_not_counted_more_often_than_long_ones(workers: int) -> None:
    seen: Counter[int] = Counter()

    def step(batch: int) -> int:
        time.sleep(0.001 * batch)
        seen[batch] += 1
        return 1

    began = time.perf_counter()
    rate = rates.rate([1, 2, 20], lambda: step, workers, 0.1)
    elapsed = time.perf_counter() - began
    seen[20] -= workers  # warm-ups
    assert len(set(seen.values())) == 1
    assert seen.total() / elapsed <= rate <= workers * 3 / 0.023


def test_the_best_setting_is_the_fastest() -> None:
    grid = rates.settings(quick=False)
    fastest = rates.Setting(64, 1, 1)
    assert fastest in grid
    assert rates.best(grid, lambda setting: 2.0 if setting == fastest else 1.0) == fastest
