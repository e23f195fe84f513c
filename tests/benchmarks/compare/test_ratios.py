"""A ratio says what it says: medians of pairs, spread, and on which side of the target it is."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks.compare.ratios import Ratio, table
from benchmarks.compare.run import Bench


def made(target: float | None, at_most: bool = False) -> Ratio:
    return Ratio("a", "ours against theirs", [90, 40, 96], [100, 50, 100], target, at_most, details={"encoder": "e"})


def test_figures_of_the_same_run_are_compared_so_that_a_slow_machine_does_not_look_like_a_slow_server() -> None:
    one = made(None)
    assert one.ratios == pytest.approx([0.9, 0.8, 0.96])
    assert (one.ratio, one.low, one.high) == pytest.approx((0.9, 0.8, 0.96))


@pytest.mark.parametrize(
    ("target", "at_most", "met"), [(0.9, False, True), (0.91, False, False), (0.9, True, True), (0.89, True, False)]
)
def test_a_missed_target_is_never_shown_as_met(target: float, at_most: bool, met: bool) -> None:
    one = made(target, at_most)
    assert one.met is met
    page = io.StringIO()
    Console(file=page, width=200).print(table([one]))
    assert ("missed" in page.getvalue()) is not met


def test_without_a_target_there_is_no_verdict() -> None:
    assert made(None).met is None
    assert made(None).to_json()["target"] is None


def test_the_json_has_what_scripts_read() -> None:
    written = json.loads(json.dumps(made(0.5).to_json()))
    wanted = {"id": "a", "name": "ours against theirs", "target": 0.5, "runs": 3, "met": True, "encoder": "e"}
    assert wanted.items() <= written.items()
    assert written["low"] <= written["ratio"] <= written["high"]
    assert (written["ours"], written["other"]) == ([90, 40, 96], [100, 50, 100])


def test_sides_are_measured_in_turns_not_one_after_the_other_is_through(tmp_path: Path) -> None:
    asked: list[str] = []

    def side(name: str, figure: float) -> float:
        asked.append(name)
        return figure

    bench = Bench(runs=3, seconds=0.1, quick=True, folder=tmp_path)
    found = bench.in_turns({"ours": lambda: side("ours", 2), "theirs": lambda: side("theirs", 1)})
    assert asked == ["ours", "theirs"] * 3
    assert found == {"ours": [2, 2, 2], "theirs": [1, 1, 1]}
