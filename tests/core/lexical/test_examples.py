"""The worked examples that explain prefixes, postings and the fuzzy match are true."""

from __future__ import annotations

import doctest
from types import ModuleType

import pytest
from malgil_core.lexical import fuzzy, numbers, postings, prefixes


@pytest.mark.parametrize("module", [fuzzy, numbers, postings, prefixes])
def test_a_reader_is_not_misled_by_a_worked_example(module: ModuleType) -> None:
    results = doctest.testmod(module)
    assert results.attempted >= 1
    assert results.failed == 0
