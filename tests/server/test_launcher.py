"""`python -m server`: says ready when it answers, says what to run when it cannot, leaves nothing behind."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import malgil
import psutil
import pytest
from malgil_core.index.reader import current
from tritonclient import grpc
from tritonclient.utils import InferenceServerException

from server.__main__ import main
from server.launcher import Server, check_exported
from server.ports import free_ports
from server.triton import SetupError
from tests.index import ENCODER

pytestmark = pytest.mark.live

SERVE = [sys.executable, "-m", "server"]


@contextmanager
def serving(repository: Path, log: Path) -> Iterator[tuple[subprocess.Popen[str], str, set[psutil.Process]]]:
    """`python -m server` once it says ready: the process, its announcement, and every process below it."""
    command = [*SERVE, "--free-ports", "--repository", str(repository)]
    with (
        log.open("wb") as stream,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stream, text=True) as launcher,
    ):
        try:
            assert launcher.stdout
            lines = [launcher.stdout.readline() for _ in range(4)]
            assert lines[0].startswith("ready"), (lines, log.read_text(errors="replace")[-3000:])
            yield launcher, "".join(lines), set(psutil.Process(launcher.pid).children(recursive=True))
        finally:
            launcher.kill()


def shared_memory(pid: int) -> list[Path]:
    return list(Path("/dev/shm").glob(f"malgil_{pid}_*"))


def scratch(launcher: subprocess.Popen[str]) -> set[str]:
    """The folders of its own that a running launcher has Triton look into."""
    commands = [" ".join(child.cmdline()) for child in psutil.Process(launcher.pid).children(recursive=True)]
    return set(re.findall(r"/\S*malgil-server-\w+", " ".join(commands)))


def gone(processes: set[psutil.Process], seconds: float = 10) -> bool:
    _, alive = psutil.wait_procs(processes, timeout=seconds)
    return not alive


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_the_server_and_leaves_no_process_shared_memory_or_file(
    repository: Path, index: Path, tmp_path: Path, number: signal.Signals
) -> None:
    with serving(repository, tmp_path / "log") as (launcher, _, children):
        assert len(children) >= 4  # Triton and three stubs
        assert shared_memory(launcher.pid)
        folders = scratch(launcher)
        assert folders
        launcher.send_signal(number)
        assert launcher.wait(30) == 0  # Triton's own exit code
        assert gone(children)
        assert not shared_memory(launcher.pid)
    assert not [folder for folder in folders if Path(folder).exists()]


def test_the_addresses_it_prints_answer(repository: Path, index: Path, tmp_path: Path) -> None:
    with serving(repository, tmp_path / "log") as (_, announced, _):
        grpc, http, metrics = re.findall(r"^ +(?:gRPC|HTTP|metrics) +(\S+)$", announced, re.MULTILINE)
        assert f"serving generation {current(index)}" in announced
        for url in (grpc, http):
            with malgil.SearchClient(url) as client:
                assert client.generation() == current(index)
        with urllib.request.urlopen(metrics) as answer:
            assert b"nv_inference_count" in answer.read()


def test_nobody_can_write_over_shared_memory_or_turn_traces_and_logs_on(server: Server) -> None:
    with grpc.InferenceServerClient(server.grpc_url) as client:
        for ask in (
            lambda: client.register_system_shared_memory("mine", f"/{server.shm_prefix}", 64),
            client.get_system_shared_memory_status,
            lambda: client.update_trace_settings(settings={"trace_level": ["TIMESTAMPS"]}),
            lambda: client.update_log_settings({"log_verbose_level": 9}),
        ):
            with pytest.raises(InferenceServerException, match="restricted"):
                ask()
    for path in ("systemsharedmemory/status", "cudasharedmemory/status", "trace/setting", "logging"):
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(f"{server.http_url}/v2/{path}")


def test_killing_the_command_itself_stops_triton_too(repository: Path, index: Path, tmp_path: Path) -> None:
    with serving(repository, tmp_path / "log") as (launcher, _, children):
        launcher.kill()
        assert gone(children, 30)
        for region in shared_memory(launcher.pid):  # nobody was left to clear these
            region.unlink()


def test_without_an_export_it_says_what_to_run(repository: Path, tmp_path: Path) -> None:
    empty = tmp_path / "model_repository"
    shutil.copytree(repository, empty, ignore=shutil.ignore_patterns("*.onnx"))
    ended = subprocess.run([*SERVE, "--repository", str(empty)], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "model.onnx is missing: run `python -m export encoder` first" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("old", "sentence"),
    [
        ({"format": 1}, "exported by another version (format 1, not 2): run `python -m export encoder` again"),
        ({"files": {**ENCODER.files, "model.onnx.data": "4" * 64}}, "encoder/1/model.onnx.data is missing: run"),
    ],
)
def test_half_an_export_or_an_old_one_is_not_served(tmp_path: Path, old: dict[str, Any], sentence: str) -> None:
    for name in ("encoder/1/model.onnx", "tokenizer/1/tokenizer.json"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    metadata = tmp_path / "tokenizer" / "1" / "encoder.json"
    ENCODER.write(metadata)
    check_exported(tmp_path)
    metadata.write_text(json.dumps({**json.loads(metadata.read_text()), **old}))
    with pytest.raises(SetupError, match=re.escape(sentence)):
        check_exported(tmp_path)


def test_a_taken_port_is_named_before_anything_starts(repository: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ended = subprocess.run(
            [*SERVE, "--repository", str(repository), "--grpc-port", str(port)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert ended.returncode == 1
    assert f"grpc port {port}" in ended.stderr
    assert "--free-ports" in ended.stderr


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--http-port", "0"], "'--http-port': 0 is not in the range 1<=x<=65535"),
        (["--grpc-port", "many"], "'--grpc-port': 'many' is not a valid integer"),
        (
            ["--metrics-listen", "10.0.0"],
            "'--metrics-listen': 10.0.0 is not an IPv4 address",
        ),
        (
            ["--listen", "::1"],
            "'--listen': ::1 is not an IPv4 address, the only kind that is served",
        ),
        (["--lisen", "0.0.0.0"], "No such option '--lisen'"),
    ],
)
def test_a_mistake_in_an_option_is_named_with_the_option(options: list[str], sentence: str) -> None:
    ended = subprocess.run([*SERVE, *options], capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert sentence in ended.stderr


def test_help_teaches_by_examples_that_parse() -> None:
    shown = subprocess.run([*SERVE, "--help"], capture_output=True, text=True, check=True).stdout
    examples = re.findall(r"^ +(python -m server.*?)(?:  .*)?$", shown, re.MULTILINE)
    assert len(examples) >= 5
    for example in examples:
        main.make_context("python -m server", shlex.split(example)[3:])


def test_a_stopped_server_starts_again_at_the_same_addresses(repository: Path, index: Path, tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as log:
        server = Server(repository, free_ports(), log=log)
        assert server.stop() == 0  # nothing to stop
        for _ in range(2):
            server.start()
            try:
                with pytest.raises(RuntimeError, match="the server is started already"):
                    server.start()
                server.wait_ready()
                with malgil.SearchClient(server.grpc_url) as client:
                    assert client.search("송금", top_k=1)[0].name == "송금"
            finally:
                assert server.stop() == server.stop() == 0
            assert not list(Path("/dev/shm").glob(f"{server.shm_prefix}*"))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["새 폴더", 'it\'s; `touch $HOME` ("x")'])
def test_a_repository_serves_from_a_folder_of_whatever_name(
    repository: Path, index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    folder = tmp_path / name
    shutil.copytree(repository, folder / "model_repository", copy_function=os.link)
    shutil.copytree(index, folder / "index")
    (folder / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder / "tmp"))
    with (tmp_path / "log").open("wb") as log, Server(folder / "model_repository", free_ports(), log=log) as server:
        assert server.wait_ready(60) == current(index)  # of the index beside it
        with server.client() as client:
            assert client.search("송금", top_k=1)[0].name == "송금"


def test_a_model_that_does_not_load_is_a_failure_not_a_hang(repository: Path, tmp_path: Path) -> None:
    broken = tmp_path / "model_repository"
    shutil.copytree(repository, broken, ignore=shutil.ignore_patterns("*.onnx"))
    (broken / "encoder/1/model.onnx").write_bytes(b"not a model")
    with (
        (tmp_path / "log").open("wb") as log,
        Server(broken, free_ports(), log=log) as server,
        pytest.raises(SetupError, match=r"(tritonserver ended with 1|model \(pid \d+\) died) before"),
    ):
        server.wait_ready(60)
    assert "encoder" in (tmp_path / "log").read_text(errors="replace")


def test_before_the_first_publish_it_serves_embed_and_search_says_what_to_run(
    repository: Path, index: Path, tmp_path: Path
) -> None:
    fresh = tmp_path / "model_repository"
    shutil.copytree(repository, fresh, copy_function=os.link)
    with (tmp_path / "log").open("wb") as log, Server(fresh, free_ports(), log=log) as server:
        assert server.wait_ready(60) is None
        with malgil.SearchClient(server.grpc_url, retries=0) as client:
            assert client.embed("송금").shape == (384,)
            with pytest.raises(malgil.Unavailable, match=r"no catalog\w* is published: run `python -m export catalog"):
                client.search("송금")
            shutil.copytree(index, tmp_path / "index")
            deadline = time.monotonic() + 10
            while time.monotonic() < deadline:
                try:
                    assert client.generation() == current(index)
                    break
                except malgil.Unavailable:
                    time.sleep(0.1)
            else:
                pytest.fail("a first publish was not taken up")
