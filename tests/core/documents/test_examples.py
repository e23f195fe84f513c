"""The worked examples that explain statistics, fusion and snippets are true."""

from __future__ import annotations

import doctest
from types import ModuleType

import pytest
from malgil_core.documents import bm25, fusion, snippets


@pytest.mark.parametrize("module", [bm25, fusion, snippets])
def test_a_reader_is_not_misled_by_a_worked_example(module: ModuleType) -> None:
    results = doctest.testmod(module)
    assert results.attempted >= 1
    assert results.failed == 0
