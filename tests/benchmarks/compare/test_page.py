from __future__ import annotations

from typing import Any

from benchmarks.compare.page import page
from benchmarks.compare.ratios import Ratio

MACHINE = {"cpu": "a CPU", "cores": 2, "memory_gib": 24.0, "gpus": []}


def entry(letter: str, ours: float, target: float | None, commit: str = "abc", at_most: bool = False) -> dict[str, Any]:
    ratio = Ratio(letter, f"name of {letter}", [ours, ours], [100.0, 100.0], target, at_most)
    return {**ratio.to_json(), "machine": MACHINE, "code": {"commit": commit, "dirty": False}}


def test_the_page_shows_each_ratio_with_its_verdict_so_that_a_miss_is_not_overlooked() -> None:
    shown = page([entry("a", 75, 0.9), entry("d", 120, 1.3, at_most=True), entry("e", 107, None)])
    assert "| name of a | **0.75** | 0.75…0.75 | ≥ 0.9 | **missed** | 75 requests/s | 100 requests/s | 2 |" in shown
    assert "| ≤ 1.3 | met |" in shown
    assert "| name of e | **1.07** | 1.07…1.07 |  |  |" in shown
    assert "a CPU, 2 cores, 24 GiB, no GPU" in shown


def test_figures_of_two_commits_say_which_is_whose() -> None:
    assert "Commit abc. " in page([entry("a", 75, None), entry("b", 75, None)])
    shown = page([entry("a", 75, None), entry("b", 75, None), entry("h", 99, None, "def")])
    assert "Commit abc (a, b), def (h). " in shown


def test_figures_of_a_comparison_that_is_gone_still_have_their_page() -> None:
    assert "Not measured any more" in page([entry("b", 75, None)])
