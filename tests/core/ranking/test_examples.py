"""The worked examples that explain fusion and pruned top-k are true."""

from __future__ import annotations

import doctest
from types import ModuleType

import pytest
from malgil_core.ranking import fusion, personal, topk


@pytest.mark.parametrize("module", [fusion, personal, topk])
def test_a_reader_is_not_misled_by_a_worked_example(module: ModuleType) -> None:
    results = doctest.testmod(module)
    assert results.attempted >= 1
    assert results.failed == 0
