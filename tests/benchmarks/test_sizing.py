"""The formulas of docs/sizing.md hold for what was measured, and its tables show both."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import report, shapes, sizing
from benchmarks.sweep_record import latest, read
from export import ROOT

RESULTS = ROOT / "benchmarks" / "results"
PAGE = (ROOT / "docs" / "sizing.md").read_text(encoding="utf-8")
POINTS = [sizing.Point(**point) for point in json.loads((RESULTS / "sizing.json").read_text(encoding="utf-8"))]
LAYERS = {  # layers, hidden, inner
    name: (shape.layers, shape.hidden, shape.inner) for name, shape in shapes.SHAPES.items()
} | {shapes.BUNDLED: (12, 384, 1_536)}
LENGTHS = (8, 16, 32, 64, 128, 256, 512)
CELLS = [(encoder, length) for encoder in shapes.ENCODERS for length in LENGTHS]


def said_mib(point: sizing.Point, swap: bool) -> float:
    """What the formula says of a measured server."""
    return sizing.predicted_mib(point.model_mib, point.tokenizer_json_mib, point.dimension, point.phrases, swap)


def searches(encoder: str, length: int) -> tuple[float, float, bool]:
    """Searches a second: measured at the best concurrency, by the formula; whether the measurement was steady."""
    cells = {cell: line for cell, line in latest(read(RESULTS / "sweep.jsonl")).items() if line["encoder"] == encoder}
    measured = report.best(cells, "search", length)
    assert measured is not None
    return measured["requests_per_s"], sizing.predicted_per_s(*LAYERS[encoder], length), measured["stable"]


def throughput_row(encoder: str, length: int) -> str:
    """A row of the page's table of throughput."""
    found, said, steady = searches(encoder, length)
    return (
        f"| {encoder} | {length} | {'' if steady else '~'}{_digits(found)} | {_digits(said)} | {_error(found, said)} |"
    )


def _error(found: float, said: float) -> str:
    return f"{100 * (said / found - 1):+.0f} %".replace("-", "−").replace("+0 %", "0 %").replace("−0 %", "0 %")


def _digits(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


@pytest.mark.parametrize("point", POINTS, ids=lambda point: f"{point.encoder}-{point.phrases}")
def test_memory_that_was_measured_is_what_the_formula_says_within_a_tenth(point: sizing.Point) -> None:
    assert said_mib(point, swap=False) == pytest.approx(point.resident_mib, rel=0.1)
    assert said_mib(point, swap=True) == pytest.approx(point.peak_mib, rel=0.1)


@pytest.mark.parametrize("point", POINTS, ids=lambda point: f"{point.encoder}-{point.phrases}")
def test_a_limit_a_fifth_above_the_formula_holds_what_was_measured(point: sizing.Point) -> None:
    assert point.peak_mib + point.shm_mib < 1.2 * said_mib(point, swap=True)


@pytest.mark.parametrize(("encoder", "length"), CELLS)
def test_searches_a_second_that_were_measured_are_what_the_formula_says_within_15_percent_or_30_if_unsteady(
    encoder: str, length: int
) -> None:
    found, said, steady = searches(encoder, length)
    assert said == pytest.approx(found, rel=0.15 if steady else 0.3)


@pytest.mark.parametrize(("encoder", "length"), CELLS)
def test_the_page_shows_what_was_measured_of_throughput_beside_the_formula(encoder: str, length: int) -> None:
    assert throughput_row(encoder, length) in PAGE


def test_the_page_states_the_constants_that_the_code_has() -> None:
    assert (
        f"MiB = {sizing.BASE_MIB:g} + {sizing.TOKENIZER_TIMES:g} × tokenizer.json + model.onnx "
        f"+ phrases × (4 × dimension + {sizing.PHRASE_BYTES:,} bytes) × {sizing.SWAP_TIMES:g}\n"
    ) in PAGE
    assert f"1 / ({1000 * sizing.OVERHEAD_S:g} ms + tokens" in PAGE
    assert f"/ {sizing.FLOPS / 1e9:g}·10⁹)" in PAGE


def test_a_server_is_measured_at_rest_and_while_a_publish_takes_over(tmp_path: Path, index: Path) -> None:
    (point,) = sizing.measure(shapes.BUNDLED, [700], tmp_path)
    assert point.phrases == 700
    assert 0 < point.scorer_mib <= point.swap_mib
    assert said_mib(point, swap=True) == pytest.approx(point.peak_mib, rel=0.2)
