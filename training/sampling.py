"""Batches in which no row's texts are negatives of another row that means the same."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from sentence_transformers.base.sampler import DefaultBatchSampler

from training.data.rows import Rows


class GroupedBatchSampler(DefaultBatchSampler):  # type: ignore[misc]  # the base is untyped
    """Full batches of rows whose groups do not meet; the same for the same seed and epoch.

    With in-batch negatives every text of a batch is a negative for every other row's anchor. So two rows may share a
    batch only if the groups of one's anchor and positive are not among the groups of the other's texts:

        row   anchor → positive     negative      own   others
        0     이체 → 계좌 송금        예약 송금     {1}    {2}
        1     송금 예약 → 예약 송금    카드 한도     {2}    {7}     not with row 0: its group 2 is among row 0's
        2     카드 분실 → 분실 신고    예약 송금     {9}    {2}     with row 0: both have a negative of 2, no harm

    What does not fit goes to the next batch. Rows that do not fill a batch at the end wait for the next epoch.
    """

    def __init__(self, dataset: Any, rows: Rows, batch_size: int, seed: int) -> None:
        super().__init__(dataset, batch_size=batch_size, drop_last=True, seed=seed)
        self.rows, self.size = rows, min(batch_size, len(rows))

    def __len__(self) -> int:
        return max(len(self.rows) // self.size, 1)

    def __iter__(self) -> Iterator[list[int]]:
        given = 0
        attempt = 0
        while given < len(self):
            order = np.random.default_rng((self.seed, self.epoch, attempt)).permutation(len(self.rows)).tolist()
            for batch in self._batches(order):
                yield batch
                given += 1
                if given == len(self):
                    return
            attempt += 1

    def _batches(self, waiting: list[int]) -> Iterator[list[int]]:
        first = True
        while waiting:
            batch: list[int] = []
            own: set[int] = set()
            every: set[int] = set()
            left: list[int] = []
            for at, row in enumerate(waiting):
                if self.rows.own:
                    mine, others = self.rows.own[row], self.rows.others[row]
                    if not mine.isdisjoint(every) or not others.isdisjoint(own):
                        left.append(row)
                        continue
                    own |= mine
                    every |= mine | others
                batch.append(row)
                if len(batch) == self.size:
                    left += waiting[at + 1 :]
                    break
            if len(batch) < self.size and not first:
                return
            yield batch  # the first one of a pass even if groups are too few to fill it
            first = False
            waiting = left
