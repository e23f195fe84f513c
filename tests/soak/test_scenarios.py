"""`python -m tests.soak`: the figures are measured, written, and held against their bounds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from server.launcher import Server
from server.ports import free_ports
from tests.soak import burst, heal, overload, scenarios
from tests.soak.__main__ import main

GOOD: dict[str, dict[str, Any]] = {
    "publish": {"count": 100, "failed": 0, "torn": 0, "backwards": 0, "slowest_s": 1.2},
    "kills": {"count": 200, "torn": 0, "lost": 0, "stuck": 0},
    "heal": {"count": 20, "worst_detect_s": 0.3, "worst_serve_s": 9.0, "wrong_generation": 0},
    "overload": {"sent_ratio": 1.0, "p99_ratio": 1.3, "hung": 0, "failed": 0, "recovered_s": 1.0},
    "fuzz": {"requests": 30_000, "crashes": 0, "wrong_status": 0, "harmed": 0, "leaked": False},
    "burst": {"bursts": 20, "answered": 9_000, "exit_code": 0, "lost": 0, "wrong": 0, "failed": 0},
}


def test_every_bound_of_the_soak_can_be_broken_and_is_then_named() -> None:
    assert scenarios.broken(GOOD) == []
    for bound in scenarios.BOUNDS:
        beyond = bound.most + 1 if bound.most < scenarios.NO_BOUND else bound.least - 1
        found = {name: {**figures, bound.figure: beyond} if name == bound.scenario else figures
                 for name, figures in GOOD.items()}  # fmt: skip
        assert scenarios.broken(found) == [bound]


def test_a_server_that_was_killed_at_the_end_does_not_pass() -> None:
    killed = {"burst": {**GOOD["burst"], "exit_code": -9}}
    assert [bound.figure for bound in scenarios.broken(killed)] == ["exit_code"]


def test_a_scenario_that_was_not_run_is_not_judged() -> None:
    assert scenarios.broken({"heal": GOOD["heal"]}) == []


def test_a_scenario_that_does_not_exist_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--only", "publish,storm"]) == 2
    refused = capsys.readouterr().err
    assert "'storm' is not among publish, kills, heal, overload, fuzz, burst" in refused
    assert len(refused.strip().splitlines()) == 1


@pytest.mark.slow
def test_the_command_measures_and_writes_what_it_measured(
    repository: Path, index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written = tmp_path / "soak.json"
    status = main(
        ["--quick", "--only", "kills", "--repository", str(repository), "--seed", "3", "--json", str(written)]
    )
    assert status == 0
    found = json.loads(written.read_text(encoding="utf-8"))
    assert found["kills"]["count"] == scenarios.QUICK.kills
    assert found["kills"]["torn"] == found["kills"]["lost"] == 0
    shown = capsys.readouterr().out
    assert "stuck" in shown
    assert "all hold" in shown


def test_many_times_the_load_is_answered_or_refused_and_no_client_waits_for_ever(server: Server) -> None:
    queries = ["송금", "돈 보내기", "남은 용돈 어디서 봐"]
    found = overload.run(server, queries, times=4, seconds=5, saturate=3)
    assert found.hung == found.failed == 0, found.problems
    assert found.sent == found.answered + found.refused
    assert found.refused > 0
    assert found.answered > overload.CLIENTS
    assert found.refused_p99_ms < found.answered_p99_ms


@pytest.mark.live
def test_a_killed_model_is_noticed_and_made_up_for(repository: Path, index: Path, tmp_path: Path) -> None:
    found = heal.run(repository, tmp_path / "log", each=1, victims=("scorer",))
    assert found.count == 1
    assert found.wrong_generation == 0
    assert 0 < found.worst_detect_s < found.worst_serve_s


@pytest.mark.live
def test_a_burst_of_clients_is_answered_rightly_or_refused_and_a_process_that_died_in_it_is_counted(
    repository: Path, index: Path, tmp_path: Path
) -> None:
    # 600 clients: beyond 1,000 waiting requests Triton 2.51 damages its heap.
    with (tmp_path / "log").open("wb") as log, Server(repository, free_ports(), log=log) as server:
        server.wait_ready()
        found = burst.run(server, bursts=1, clients=600, burst_s=2, calm_s=1)
    assert (found.exit_code, found.lost, found.wrong, found.failed) == (0, 0, 0, 0), found.problems
    # Whether some are refused as too many depends on how fast a busy machine lets the clients be.
    assert min(found.answered, found.refused, found.abandoned) > 0, found
    assert found.sent == found.answered + found.overloaded + found.refused + found.abandoned
