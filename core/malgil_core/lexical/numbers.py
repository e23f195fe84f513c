"""Number arrays of the lexical index, and checks of those that come from a file."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Doubles = npt.NDArray[np.float64]


def within(array: npt.NDArray[Any], lowest: int, highest: int | None) -> bool:
    """Whether all numbers lie between these two, both included."""
    return not len(array) or bool(array.min() >= lowest and (highest is None or array.max() <= highest))


def require(condition: bool, otherwise: str) -> None:
    """Raise a ValueError with this text unless the condition holds."""
    if not condition:
        raise ValueError(otherwise)
