"""The figures that are read from perf_analyzer's runs, on recorded ones."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from benchmarks import perf_analyzer
from server.launcher import Server
from server.triton import SetupError

DATA = Path(__file__).parent / "data"
SECOND = 1_000_000_000


def closed_loop(clients: int, requests: int, took_ms: float) -> tuple[perf_analyzer.Ids, perf_analyzer.Ids]:
    """A server that answers one request at a time, in the order in which they came."""
    ends = (np.arange(1, requests + 1) * took_ms * 1e6).astype(np.int64)
    starts = np.concatenate([np.zeros(clients, np.int64), ends[: requests - clients]])
    return starts, ends


def test_percentiles_agree_with_perf_analyzers_own_where_those_are_to_be_trusted() -> None:
    starts, ends = perf_analyzer.read_export((DATA / "perf_analyzer_search.json").read_bytes())
    printed = (DATA / "perf_analyzer_search.txt").read_text()
    own = {kind: int(value) / 1000 for kind, value in re.findall(r"(Avg|p\d+) latency: (\d+) usec", printed)}
    assert len(starts) == 60
    assert np.mean(ends - starts) / 1e6 == pytest.approx(own["Avg"], abs=0.01)
    load = perf_analyzer.summarise(starts, ends, clients=4)
    assert load.requests == 52
    for name, theirs in (("mean", "Avg"), ("p50", "p50"), ("p90", "p90"), ("p99", "p99")):
        assert load.latency_ms[name] == pytest.approx(own[theirs], rel=0.05)


def test_throughput_is_not_that_of_perf_analyzers_waiting() -> None:
    starts, ends = perf_analyzer.read_export((DATA / "perf_analyzer_search.json").read_bytes())
    load = perf_analyzer.summarise(starts, ends, clients=4)
    printed = (DATA / "perf_analyzer_search.txt").read_text()
    said = re.search(r"Throughput: ([\d.]+)", printed)
    assert said
    assert float(said[1]) < 0.5 * load.requests_per_s  # 60 requests in 0.4 s, which it divides by a second
    # Little's law holds for clients that wait for their answers.
    assert load.requests_per_s * load.latency_ms["mean"] / 1000 == pytest.approx(4, rel=0.05)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("blank", "text (query in search) is blank: 1 bytes without a visible character; send at least one"),
        ("unknown_model", "Request for unknown model: 'nosuch' is not found"),
        ("no_server", "Failed to connect to remote host: Connection refused"),
        ("missing_input", "missing tensor text"),
    ],
)
def test_a_failed_load_says_what_failed(name: str, sentence: str) -> None:
    assert sentence in perf_analyzer.why_failed((DATA / f"perf_analyzer_{name}.txt").read_text())


def test_texts_that_look_like_its_fields_and_bytes_that_are_not_utf8_are_no_requests() -> None:
    written = (
        b'{"experiments":[{"requests":[{"timestamp":5,"request_inputs":{"query":"\\"timestamp\\":7"},'
        b'"response_timestamps":[9],"response_outputs":[{"name":"\x80\\u0000\\"response_timestamps\\":[1]"}]}]}]}'
    )
    starts, ends = perf_analyzer.read_export(written)
    assert (starts.tolist(), ends.tolist()) == ([5], [9])


def test_a_request_without_an_answer_is_not_passed_over() -> None:
    with pytest.raises(perf_analyzer.LoadError, match="of 1 requests only 0 were answered"):
        perf_analyzer.read_export(b'{"requests":[{"timestamp":5,"response_timestamps":[]}]}')


def test_a_steady_server_is_stable_and_its_figures_are_exact() -> None:
    load = perf_analyzer.summarise(*closed_loop(clients=8, requests=400, took_ms=2.0), clients=8)
    assert load.stable
    assert load.requests == 400 - 16
    assert load.requests_per_s == pytest.approx(500)
    assert load.latency_ms == pytest.approx(dict.fromkeys(("mean", "p50", "p90", "p95", "p99"), 16.0))


def test_a_server_that_slows_down_is_not_stable() -> None:
    starts, ends = closed_loop(clients=8, requests=400, took_ms=2.0)
    starts, ends = (np.where(times > SECOND // 2, times * 2 - SECOND // 2, times) for times in (starts, ends))
    assert not perf_analyzer.summarise(starts, ends, clients=8).stable


def test_two_requests_of_each_client_are_figures_but_never_stable_ones() -> None:
    load = perf_analyzer.summarise(*closed_loop(clients=16, requests=32, took_ms=1000.0), clients=16)
    assert not load.stable
    assert load.requests_per_s == pytest.approx(1.0)
    assert load.latency_ms["p50"] == pytest.approx(16_000)  # not that of the first ones, which found empty queues


def test_one_answered_request_has_figures() -> None:
    load = perf_analyzer.summarise(np.array([0]), np.array([SECOND]), clients=1)
    assert (load.requests_per_s, load.latency_ms["p99"], load.stable) == (1.0, 1000.0, False)


def test_where_it_is_missing_the_error_says_what_to_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(perf_analyzer, "FOLDER", tmp_path / "none")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SetupError, match="make setup"):
        perf_analyzer.find()


def test_where_a_library_is_missing_the_error_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "perf_analyzer"
    program.write_text("#!/bin/sh\necho 'libb64.so.0d: cannot open shared object file' >&2\nexit 127\n")
    program.chmod(0o755)
    monkeypatch.setattr(perf_analyzer, "FOLDER", tmp_path)
    with pytest.raises(SetupError, match=r"libb64\.so\.0d"):
        perf_analyzer.find()


def test_a_refused_request_ends_a_live_load_with_the_servers_own_sentence(server: Server, tmp_path: Path) -> None:
    data = perf_analyzer.write_input(tmp_path / "in.json", [{"query": "송금"}, {"query": " "}])
    with pytest.raises(perf_analyzer.LoadError, match="is blank"):
        perf_analyzer.run(server.grpc_url, "search", data, clients=2, requests=10, timeout=60)


def test_a_load_that_outlasts_its_time_is_given_up(server: Server, tmp_path: Path) -> None:
    data = perf_analyzer.write_input(tmp_path / "in.json", [{"query": "송금"}])
    with pytest.raises(perf_analyzer.LoadError, match="took over 1 s"):
        perf_analyzer.run(server.grpc_url, "search", data, clients=1, requests=100_000, timeout=1)


def hang_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """perf_analyzer as it is, except that it does not end after its first run, when all its requests are answered."""
    real, environment = perf_analyzer.find()
    program = folder / "perf_analyzer"
    libraries = environment["LD_LIBRARY_PATH"]
    program.write_text(
        f'#!/bin/sh\nexport LD_LIBRARY_PATH="{libraries}"\n[ "$1" = --version ] && exec "{real}" --version\n'
        f'"{real}" "$@" || exit\n[ -e "{folder}/first" ] && exit\ntouch "{folder}/first"\nexec sleep 60\n'
    )
    program.chmod(0o755)
    monkeypatch.setattr(perf_analyzer, "FOLDER", folder)
    monkeypatch.setattr(perf_analyzer, "LOOK_S", 1.0)


def test_a_run_whose_answers_perf_analyzer_lost_is_made_again_and_does_not_hang_a_benchmark(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = perf_analyzer.write_input(tmp_path / "in.json", [{"query": "송금"}])
    hang_once(tmp_path, monkeypatch)
    load = perf_analyzer.run(server.grpc_url, "search", data, clients=2, requests=10, timeout=30)
    assert (tmp_path / "first").exists()
    assert load.requests == 6
    assert capsys.readouterr().err == "search: perf_analyzer lost answers of a run, which is made again\n"


def test_a_server_that_owes_an_answer_is_not_asked_again_in_its_place(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = perf_analyzer.write_input(tmp_path / "in.json", [{"query": "송금"}])
    hang_once(tmp_path, monkeypatch)
    answered = perf_analyzer._answered
    owed = iter([0])  # nothing before the run, one answer ever after
    monkeypatch.setattr(perf_analyzer, "_answered", lambda url, model: answered(url, model) - next(owed, 1))
    with pytest.raises(perf_analyzer.LoadError, match="took over 8 s"):
        perf_analyzer.run(server.grpc_url, "search", data, clients=2, requests=10, timeout=8)
