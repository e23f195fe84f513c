"""Errors of a store, each with a sentence as text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from malgil_core.catalog.problems import Problem

from store.types import Stored

__all__ = ["ConflictError", "InvalidError", "NotFoundError", "Problem", "StoreError"]


class StoreError(ValueError):
    """A store that cannot be used, or does not do what was asked."""


class NotFoundError(StoreError):
    """There is no such entry, change, account or test set."""


class ConflictError(StoreError):
    """The entry is not of the expected version: somebody saved or deleted it meanwhile.

    Attributes:
        current: the entry as it is, None if it was deleted.
    """

    def __init__(self, sentence: str, current: Stored[Any] | None) -> None:
        self.current = current
        super().__init__(sentence)


class InvalidError(StoreError):
    """The entry cannot be saved as it is.

    Attributes:
        problems: each with a code, see malgil_core/catalog/problems.py.
    """

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = list(problems)
        super().__init__("\n".join(map(str, problems)))
