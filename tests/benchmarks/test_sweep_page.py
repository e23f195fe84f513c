"""The tables and plots are made from a recorded file alone, and say what it says."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from benchmarks.__main__ import main
from benchmarks.shapes import ENCODERS
from benchmarks.sweep import cli, measure, page, plan
from benchmarks.sweep.plan import CONCURRENCY, LENGTHS, MODELS, Line, Options

RECORDED = Path(__file__).parent / "data" / "sweep.jsonl"
PLOTS = (
    "throughput-by-length", "throughput-by-concurrency", "latency-by-length", "latency-by-concurrency", "time-by-step",
)  # fmt: skip
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def recorded() -> list[Line]:
    return plan.read(RECORDED)


def rows(table: str) -> dict[str, list[str]]:
    """The first row of each name."""
    found: dict[str, list[str]] = {}
    for line in table.splitlines():
        name, *values = (cell.strip() for cell in line.strip("| ").split("|"))
        found.setdefault(name, values)
    return found


def test_the_table_shows_each_length_at_its_best_concurrency(recorded: list[Line]) -> None:
    table = rows(page.table("koelectra-small-v3", plan.latest(recorded)))
    own = [one for one in recorded if one["encoder"] == "koelectra-small-v3" and one["model"] == "search"]
    for length, rate, clients, mean in zip(
        table["tokens"],
        table["**search**, requests/s"],
        table["at concurrency"],
        table["mean latency, ms"],
        strict=True,
    ):
        best = max((one for one in own if one["length"] == int(length)), key=lambda one: one["requests_per_s"])
        assert float(rate.strip("~*").replace(",", "")) == pytest.approx(best["requests_per_s"], rel=0.01)
        assert rate.startswith("~") != best["stable"]
        assert int(clients) == best["concurrency"]
        assert float(mean.replace(",", "")) == pytest.approx(best["latency_ms"]["mean"], rel=0.01)


def test_the_published_figures_stand_beside_and_are_called_another_machines(
    recorded: list[Line],
) -> None:
    table = rows(page.table("koelectra-small-v3", plan.latest(recorded)))
    assert table["*RTX 3090, 256 clients*, requests/s"] == ["*19,035*", "*10,400*", "*4,132*"]
    assert table["*the same*, mean latency, ms"][0] == "*13.4*"
    assert "RTX" not in page.table("bundled", plan.latest(recorded))
    shown = page.page(recorded, [])
    assert "on another machine and another server" in shown
    for fact in ("AMD EPYC, 2 cores", "no GPU", "triton 2.51.0", "with changes", "random weights"):
        assert fact in shown


def test_what_was_not_measured_is_named_and_leaves_a_dash(recorded: list[Line]) -> None:
    only = [one for one in recorded if "skipped" in one]
    shown = page.page(only, [])
    assert "512 tokens, 256 clients: skipped, two requests of each client would take" in shown
    assert rows(shown)["**search**, requests/s"] == ["–"]


def test_the_newest_figure_of_a_cell_counts_and_machines_are_not_mixed(recorded: list[Line]) -> None:
    again = {**recorded[0], "requests_per_s": 12_345.0}
    assert "12,345" in page.page([*recorded, again], [])
    elsewhere = {**recorded[0], "machine": {**recorded[0]["machine"], "gpus": ["NVIDIA H100"]}}
    shown = page.page([*recorded, elsewhere], [])
    assert "NVIDIA H100" in shown
    assert "koelectra" not in shown


@pytest.mark.slow
def test_the_report_command_draws_every_plot_and_its_page_shows_them(tmp_path: Path) -> None:
    source = tmp_path / "sweep.jsonl"
    shutil.copy2(RECORDED, source)
    assert main(["report", "--input", str(source)]) == 0
    shown = (tmp_path / "sweep.md").read_text()
    pictures = {name: tmp_path / f"sweep-{name}.png" for name in PLOTS}
    for path in pictures.values():
        assert path.read_bytes().startswith(PNG)
        assert path.stat().st_size > 20_000, "an empty picture"
        assert f"({path.name})" in shown
    before = {name: path.read_bytes() for name, path in pictures.items()}
    assert main(["report", "--input", str(source)]) == 0
    assert {name: path.read_bytes() for name, path in pictures.items()} == before


@pytest.mark.slow
def test_one_figure_is_enough_for_a_page(tmp_path: Path, recorded: list[Line]) -> None:
    source = tmp_path / "one.jsonl"
    source.write_text(json.dumps(recorded[-1]) + "\n")
    assert main(["report", "--input", str(source)]) == 0
    assert (tmp_path / "one-time-by-step.png").exists()


def test_a_sweep_in_which_nothing_was_fast_enough_still_has_a_page(tmp_path: Path, recorded: list[Line]) -> None:
    source = tmp_path / "slow.jsonl"
    source.write_text("".join(json.dumps(one) + "\n" for one in recorded if "skipped" in one))
    assert main(["report", "--input", str(source)]) == 0
    assert not list(tmp_path.glob("*.png"))


def test_without_a_file_the_report_says_what_to_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "--input", str(tmp_path / "none.jsonl")]) == 1
    assert "run `python -m benchmarks sweep` first" in capsys.readouterr().err


def parsed(monkeypatch: pytest.MonkeyPatch, *words: str) -> Options:
    """What a sweep would be run with."""
    given: list[Options] = []
    monkeypatch.setattr(measure, "sweep", lambda options, *_: given.append(options))
    monkeypatch.setattr(cli, "write_report", lambda _: None)
    assert main(["sweep", *words]) == 0
    return given[0]


def test_without_options_the_whole_grid_is_swept(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = parsed(monkeypatch)
    assert (whole.encoders, whole.models) == (ENCODERS, MODELS)
    assert (whole.lengths, whole.concurrency) == (LENGTHS, CONCURRENCY)
    assert len(whole.cells()) == 252


def test_quick_leaves_the_full_results_alone_and_takes_other_options_too(monkeypatch: pytest.MonkeyPatch) -> None:
    quick = parsed(monkeypatch, "--quick")
    assert len(quick.cells()) <= 24
    assert quick.output != parsed(monkeypatch).output
    assert parsed(monkeypatch, "--quick", "--lengths", "8,512", "--seconds", "1").lengths == (8, 512)


@pytest.mark.parametrize(
    "words", [("--encoders", "gpt"), ("--lengths", "8,-1"), ("--concurrency", "x"), ("--seconds", "0")]
)
def test_a_wrong_option_is_one_sentence_that_names_it(
    words: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sweep", *words]) == 2
    refused = capsys.readouterr().err.strip()
    assert f"'{words[0]}'" in refused
    assert len(refused.splitlines()) == 1
