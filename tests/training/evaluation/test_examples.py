"""The worked examples of the metrics and tests are true."""

from __future__ import annotations

import doctest
from types import ModuleType

import pytest

from training.evaluation import metrics, passages, significance, similarity


@pytest.mark.parametrize("module", [metrics, passages, significance, similarity])
def test_a_reader_is_not_misled_by_a_worked_example(module: ModuleType) -> None:
    results = doctest.testmod(module, extraglobs={"np": __import__("numpy")})
    assert results.attempted >= 1
    assert results.failed == 0
