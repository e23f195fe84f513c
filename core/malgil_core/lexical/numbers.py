"""Number arrays of the lexical index, and checks of those that come from a file."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Doubles = npt.NDArray[np.float64]


class Found(NamedTuple):
    """Phrases that match queries of a batch in one way, ordered by query."""

    queries: Ints  # [n]: index of the query in the batch
    rows: Ints  # [n]: index of the phrase
    scores: Doubles  # [n]


def ranges(starts: Ints, sizes: Ints) -> Ints:
    """The numbers from each start on, as many as its size says, end to end.

    >>> ranges(np.array([5, 0]), np.array([2, 3])).tolist()
    [5, 6, 0, 1, 2]
    """
    offsets = sizes.cumsum() - sizes
    numbers: Ints = np.arange(sizes.sum(), dtype=np.int64) + (starts - offsets).repeat(sizes)
    return numbers


def within(array: npt.NDArray[Any], lowest: int, highest: int | None) -> bool:
    """Whether all numbers lie between these two, both included."""
    return not len(array) or bool(array.min() >= lowest and (highest is None or array.max() <= highest))


def require(condition: bool, otherwise: str) -> None:
    """Raise a ValueError with this text unless the condition holds."""
    if not condition:
        raise ValueError(otherwise)
