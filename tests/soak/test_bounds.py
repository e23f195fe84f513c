"""`python -m benchmarks soak`: the figures are measured, written, and held against their bounds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.__main__ import main
from benchmarks.soak import cli, heal, overload, run
from server.launcher import Server

GOOD: dict[str, dict[str, Any]] = {
    "publish": {"count": 100, "failed": 0, "torn": 0, "backwards": 0, "slowest_s": 1.2},
    "kills": {"count": 200, "torn": 0, "lost": 0, "stuck": 0},
    "heal": {"count": 20, "worst_detect_s": 0.3, "worst_serve_s": 9.0, "wrong_generation": 0},
    "overload": {"ratio": 4.0, "p99_ratio": 1.3, "hung": 0, "failed": 0, "recovered_s": 1.0},
    "fuzz": {"requests": 100_000, "crashes": 0, "wrong_status": 0, "harmed": 0, "leaked": False},
}


def test_every_bound_of_the_soak_can_be_broken_and_is_then_named() -> None:
    assert run.broken(GOOD) == []
    for bound in run.BOUNDS:
        beyond = bound.most + 1 if bound.most < run.NO_BOUND else bound.least - 1
        found = {name: {**figures, bound.figure: beyond} if name == bound.scenario else figures
                 for name, figures in GOOD.items()}  # fmt: skip
        assert run.broken(found) == [bound]


def test_a_scenario_that_was_not_run_is_not_judged() -> None:
    assert run.broken({"heal": GOOD["heal"]}) == []


def test_every_scenario_of_the_command_has_bounds() -> None:
    assert set(cli.NAMES) == set(run.SCENARIOS)


def test_a_scenario_that_does_not_exist_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["soak", "--only", "publish,storm"])
    assert "'storm' is not among publish, kills, heal, overload, fuzz" in capsys.readouterr().err


def test_the_command_measures_and_writes_what_it_measured(
    repository: Path, index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written = tmp_path / "soak.json"
    status = main(
        ["soak", "--quick", "--only", "kills", "--repository", str(repository), "--seed", "3", "--json", str(written)]
    )
    assert status == 0
    found = json.loads(written.read_text(encoding="utf-8"))
    assert found["kills"]["count"] == run.QUICK.kills
    assert found["kills"]["torn"] == found["kills"]["lost"] == 0
    assert "stuck" in capsys.readouterr().out


def test_many_times_the_load_is_answered_or_refused_and_nobody_waits_for_ever(server: Server) -> None:
    queries = ["송금", "돈 보내기", "남은 용돈 어디서 봐"]
    found = overload.run(server, queries, times=8, seconds=5, saturate=3)
    assert found.hung == found.failed == 0, found.problems
    assert found.sent == found.answered + found.refused
    assert found.refused > 0
    assert found.answered > overload.CLIENTS
    assert found.refused_p99_ms < found.answered_p99_ms


def test_a_killed_model_is_noticed_and_made_up_for(repository: Path, index: Path, tmp_path: Path) -> None:
    found = heal.run(repository, tmp_path / "log", each=1, victims=("scorer",))
    assert found.count == 1
    assert found.wrong_generation == 0
    assert 0 < found.worst_detect_s < found.worst_serve_s
