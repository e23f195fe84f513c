"""The formulas of docs/sizing.md hold for what was measured."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import report, shapes, sizing
from benchmarks.sweep_record import latest, read
from export import ROOT

RESULTS = ROOT / "benchmarks" / "results"
POINTS = [sizing.Point(**point) for point in json.loads((RESULTS / "sizing.json").read_text(encoding="utf-8"))]
LAYERS = {  # layers, hidden, inner
    name: (shape.layers, shape.hidden, shape.inner) for name, shape in shapes.SHAPES.items()
} | {shapes.BUNDLED: (12, 384, 1_536)}


@pytest.mark.parametrize("point", POINTS, ids=lambda point: f"{point.encoder}-{point.phrases}")
def test_memory_that_was_measured_is_what_the_formula_says_within_a_tenth(point: sizing.Point) -> None:
    def said(swap: bool) -> float:
        return sizing.predicted_mib(point.model_mib, point.tokenizer_json_mib, point.dimension, point.phrases, swap)

    assert point.resident_mib == pytest.approx(said(swap=False), rel=0.1)
    assert point.peak_mib == pytest.approx(said(swap=True), rel=0.1)


@pytest.mark.parametrize("length", [8, 16, 32, 64, 128, 256, 512])
@pytest.mark.parametrize("encoder", LAYERS)
def test_searches_a_second_that_were_measured_are_what_the_formula_says_within_a_quarter(
    encoder: str, length: int
) -> None:
    cells = {cell: line for cell, line in latest(read(RESULTS / "sweep.jsonl")).items() if line["encoder"] == encoder}
    measured = report.best(cells, "search", length)
    assert measured is not None
    said = sizing.predicted_per_s(length, sizing.flops_per_token(*LAYERS[encoder]))
    assert measured["requests_per_s"] == pytest.approx(said, rel=0.25)


def test_a_server_is_measured_at_rest_and_while_a_publish_takes_over(tmp_path: Path, index: Path) -> None:
    (point,) = sizing.measure(shapes.BUNDLED, [700], tmp_path)
    assert point.phrases == 700
    assert 0 < point.scorer_mib <= point.swap_mib
    said = sizing.predicted_mib(point.model_mib, point.tokenizer_json_mib, point.dimension, point.phrases)
    assert point.peak_mib == pytest.approx(said, rel=0.2)
