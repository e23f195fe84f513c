"""A sweep measures each cell once, goes on where it was stopped, and records what went wrong."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import machine, shapes
from benchmarks.__main__ import main
from benchmarks.sweep import measure, plan
from benchmarks.sweep.plan import Cell, Line, Options, SweepError
from server.launcher import Server

CODE = {"commit": "c0ffee", "dirty": False, "changes": None}
MACHINE = {"cpu": "a", "cores": 2, "memory_gib": 24.0, "gpus": []}


@pytest.fixture
def options(tmp_path: Path) -> Options:
    return Options(
        tmp_path / "sweep.jsonl", ("bundled",), ("search", "encoder"), (8, 32), (1, 16), seconds=1.0, longest_s=20.0
    )


def line(cell: Cell, **changes: Any) -> Line:
    asked = {"seconds": 1.0, "longest_s": 20.0}
    return {**dataclasses.asdict(cell), "asked": asked, "code": CODE, "machine": MACHINE, **changes}


class Fake:
    """Stands in for the server, and for what measures on it."""

    starts = 0
    outcome: dict[str, Any] = {"requests_per_s": 7.0}  # noqa: RUF012
    measured: list[Cell] = []  # noqa: RUF012
    url, client = "", None

    def __init__(self, *_: object) -> None: ...

    def __enter__(self) -> Fake:
        return self

    def __exit__(self, *_: object) -> None: ...

    def start(self) -> None:
        Fake.starts += 1

    def reach(self, url: str) -> None: ...

    def remember(self, line: Line) -> None: ...

    def measure(self, cell: Cell) -> Line:
        Fake.measured.append(cell)
        return {**line(cell), **Fake.outcome}


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> type[Fake]:
    Fake.starts, Fake.measured, Fake.outcome = 0, [], {"requests_per_s": 7.0}
    monkeypatch.setattr(measure, "RestartableServer", Fake)
    monkeypatch.setattr(measure, "Bench", Fake)
    monkeypatch.setattr(shapes, "prepare", lambda *_: Path())
    monkeypatch.setattr(machine, "code", lambda: CODE)
    monkeypatch.setattr(machine, "machine", lambda: MACHINE)
    monkeypatch.setattr(machine, "versions", lambda _: {"triton": "2.51.0"})
    return Fake


def test_a_stopped_sweep_goes_on_with_the_cells_that_are_missing(options: Options, fake: type[Fake]) -> None:
    cells = options.cells()
    for cell in cells[:3]:
        plan.append(options.output, line(cell, requests_per_s=1.0))
    passed: list[tuple[Cell, bool]] = []
    measure.sweep(options, done=lambda cell, new: passed.append((cell, new is None)))
    assert fake.measured == cells[3:]
    assert passed == [(cell, i < 3) for i, cell in enumerate(cells)]
    assert {plan.cell_of(one) for one in plan.read(options.output)} == set(cells)
    fake.measured.clear()
    starts = fake.starts
    measure.sweep(options)
    assert not fake.measured
    assert fake.starts == starts, "a server was started for nothing"


@pytest.mark.parametrize(
    "change",
    [
        {"code": {**CODE, "commit": "another"}},
        {"code": {**CODE, "changes": "0123456789ab"}},
        {"machine": {**MACHINE, "gpus": ["NVIDIA H100"]}},
        {"asked": {"seconds": 0.5, "longest_s": 20.0}},
        {"failed": "Connection refused"},
        {"skipped": "too slow", "asked": {"seconds": 1.0, "longest_s": 10.0}},
    ],
)
def test_a_figure_of_other_code_another_machine_or_less_time_is_measured_again(
    options: Options, fake: type[Fake], change: dict[str, Any]
) -> None:
    for cell in options.cells():
        plan.append(options.output, line(cell, **change))
    measure.sweep(options)
    assert fake.measured == options.cells()
    assert all("requests_per_s" in new for new in plan.latest(plan.read(options.output)).values())


def test_a_cell_that_was_too_slow_is_not_tried_again(options: Options, fake: type[Fake]) -> None:
    for cell in options.cells():
        plan.append(options.output, line(cell, skipped="two requests of each client would take 99 s"))
    measure.sweep(options)
    assert not fake.measured


def test_fresh_forgets_what_the_file_holds(options: Options, fake: type[Fake]) -> None:
    plan.append(options.output, line(options.cells()[0], requests_per_s=1.0))
    measure.sweep(dataclasses.replace(options, fresh=True))
    assert fake.measured == options.cells()
    assert len(plan.read(options.output)) == len(options.cells())


def test_after_a_failed_load_the_next_cell_gets_a_new_server(options: Options, fake: type[Fake]) -> None:
    Fake.outcome = {"failed": "search: took over 60 s"}
    measure.sweep(options)
    assert fake.starts == 1 + len(options.cells())
    assert all(one["failed"] for one in plan.read(options.output))


def test_a_line_that_was_cut_off_costs_that_line_alone(options: Options) -> None:
    first, second, third = options.cells()[:3]
    plan.append(options.output, line(first))
    with options.output.open("a") as file:
        file.write(json.dumps(line(second))[:40])
    assert [plan.cell_of(one) for one in plan.read(options.output)] == [first]
    plan.append(options.output, line(third))
    assert [plan.cell_of(one) for one in plan.read(options.output)] == [first, third]


def test_a_damaged_file_is_named_with_the_line(tmp_path: Path) -> None:
    path = tmp_path / "sweep.jsonl"
    path.write_text("{}\nnot JSON\n{}\n")
    with pytest.raises(SweepError, match=r"sweep\.jsonl:2: "):
        plan.read(path)
    assert main(["report", "--input", str(path)]) == 1


def test_slow_cells_end_in_bounded_time_and_those_that_cannot_are_left_out() -> None:
    assert plan.requests(100.0, 16, seconds=8, longest_s=40) == 832
    assert plan.requests(1.0, 1, seconds=8, longest_s=40) == 10
    assert plan.requests(1.0, 16, seconds=8, longest_s=40) == 40  # not the five of each client that it should be
    assert plan.requests(1.0, 64, seconds=8, longest_s=40) is None
    assert plan.requests(10_000.0, 256, seconds=8, longest_s=40) == 20_512


def test_the_time_left_is_long_while_the_large_encoder_is_still_to_come() -> None:
    clock = plan.Clock(Options(Path()))
    small, large = "koelectra-small-v3", "bert-base-multilingual-cased"
    clock.learn(Cell(small, "search", 128, 16), 80.0)
    of = {name: clock.seconds([Cell(name, "search", 256, 16)]) for name in (small, large)}
    assert of[small] == pytest.approx(8 + 3, rel=0.1)
    assert 20 < of[large] <= 43
    assert clock.seconds([Cell(large, "search", 512, 256)]) < 1  # is left out


def test_a_live_cell_has_all_that_is_needed_to_read_it(server: Server, repository: Path, tmp_path: Path) -> None:
    bench = measure.Bench(server.grpc_url, repository, tmp_path, Options(tmp_path / "x", seconds=1.0, longest_s=30.0))
    searched = bench.measure(Cell("bundled", "search", 8, 4))
    assert "failed" not in searched
    assert searched["errors"] == 0
    assert 0.4 < searched["window_s"] < 10
    assert searched["requests_per_s"] == pytest.approx(searched["requests"] / searched["window_s"])
    latency = searched["latency_ms"]
    assert 0 < latency["p50"] <= latency["p90"] <= latency["p95"] <= latency["p99"]
    assert list(searched["steps"]) == ["tokenizer", "encoder", "scorer"]
    for step in searched["steps"].values():
        assert step["requests"] >= searched["requests"]
        assert 1 <= step["mean_batch"] <= 4
        assert 0 <= step["queue_ms"] < latency["mean"]
        assert 0 < step["infer_ms"] < latency["mean"]
    assert searched["batching"]["encoder"]["max_batch_size"] == 64
    assert searched["batching"]["encoder"]["dynamic_batching"] is not None
    assert searched["encoder_facts"]["fingerprint"]
    json.dumps(searched)

    facts = {"machine": machine.machine(), "code": machine.code()}
    assert facts["machine"]["cores"] >= 1
    assert len(facts["code"]["commit"]) == 40
    assert machine.versions(bench.client)["triton"].startswith("2.")  # type: ignore[union-attr]


@pytest.mark.parametrize("model", ["embed", "encoder"])
def test_the_other_models_can_be_loaded_too(model: str, server: Server, repository: Path, tmp_path: Path) -> None:
    bench = measure.Bench(server.grpc_url, repository, tmp_path, Options(tmp_path / "x", seconds=0.3, longest_s=30.0))
    measured = bench.measure(Cell("bundled", model, 16, 2))
    assert measured["requests_per_s"] > 0
    assert "encoder" in measured["steps"]


def test_a_cell_that_cannot_end_in_time_says_so(server: Server, repository: Path, tmp_path: Path) -> None:
    bench = measure.Bench(server.grpc_url, repository, tmp_path, Options(tmp_path / "x", seconds=0.1, longest_s=0.1))
    bench.remember({"model": "search", "length": 8, "concurrency": 1, "requests_per_s": 10.0})
    measured = bench.measure(Cell("bundled", "search", 8, 256))
    assert measured["skipped"] == "two requests of each client would take 51 s: --longest is 0"
