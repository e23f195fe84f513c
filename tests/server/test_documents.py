"""`python -m server --documents`: the engine runs as long as the server, and no longer."""

from __future__ import annotations

import errno
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest
from click.testing import CliRunner

from server.__main__ import main
from server.documents import HOST, Access, Engine
from server.ports import free_ports
from server.triton import SetupError
from tests.server.test_launcher import SERVE, gone

pytestmark = pytest.mark.live


def find_engine(pid: int, port: int | None = None) -> psutil.Process:
    """The milvus-lite below a process, at a port if there may be others."""
    (found,) = [
        child
        for child in psutil.Process(pid).children(recursive=True)
        if child.status() != psutil.STATUS_ZOMBIE and {"milvus_lite", str(port or "server")} <= {*child.cmdline()}
    ]
    return found


def listens(port: int, seconds: float = 0) -> bool:
    deadline = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection((HOST, port), timeout=1).close()
        except OSError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.1)
        else:
            return True


@pytest.fixture
def port() -> int:
    return free_ports().http


@pytest.fixture
def sentences() -> list[str]:
    return []


@pytest.fixture
def engine(tmp_path: Path, port: int, sentences: list[str]) -> Iterator[Engine]:
    running = Engine(tmp_path / "data", port, sentences.append)
    running.start()
    yield running
    running.stop()


def test_an_engine_that_is_killed_is_started_again_at_its_address_and_gone_after_stop(
    engine: Engine, port: int, sentences: list[str]
) -> None:
    first = find_engine(os.getpid(), port)
    os.kill(first.pid, signal.SIGKILL)
    deadline = time.monotonic() + 30
    while not sentences:  # psutil would reap it before the engine's watcher does
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert listens(port, 30)
    second = find_engine(os.getpid(), port)
    assert second.pid != first.pid
    (sentence,) = sentences
    assert "ended with -9: starting it again in 0 s" in sentence
    engine.stop()
    assert gone({second})
    assert not listens(port)


def test_an_engine_that_cannot_be_started_again_at_once_is_tried_again(
    engine: Engine, port: int, sentences: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(*_: object) -> None:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))  # as where there are too many processes

    with monkeypatch.context() as patch:
        patch.setattr("server.processes.start", start)
        os.kill(find_engine(os.getpid(), port).pid, signal.SIGKILL)
        deadline = time.monotonic() + 30
        while len(sentences) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    assert sentences[1] == (
        "milvus-lite, the engine of documents, cannot be started: Resource temporarily unavailable: trying again in 1 s"
    )
    assert listens(port, 30)


def test_without_the_package_milvus_lite_the_sentence_names_it(
    tmp_path: Path, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "milvus_lite", None)  # as if it could not be found
    with pytest.raises(SetupError, match="needs the package milvus-lite: run `make setup`, or give an engine's URI"):
        Engine(tmp_path / "data", port, print).start()
    assert not (tmp_path / "data").exists()


def test_a_token_or_certificates_for_an_engine_that_takes_none_are_refused_and_not_ignored(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("root:secret")
    for options, variables, sentence in (
        (["--documents-token-file", str(file)], {}, "a token (--documents-token-file or"),
        ([], {"MALGIL_DOCUMENTS_TOKEN": "root:secret"}, "a token (--documents-token-file or"),
        (["--documents-ca", str(file)], {}, "certificates (--documents-ca or"),
        ([], {"MALGIL_DOCUMENTS_CA": str(file)}, "certificates (--documents-ca or"),
    ):
        result = CliRunner().invoke(main, [*options, "--documents", "--free-ports"], env=variables)
        assert (result.exit_code, sentence in result.output) == (1, True)
        assert len(result.output.splitlines()) == 1


def test_an_engine_that_hangs_is_told_from_one_that_answers(engine: Engine, port: int) -> None:
    process = find_engine(os.getpid(), port)
    assert engine.is_answering()
    process.suspend()
    try:
        assert not engine.is_answering()
    finally:
        process.resume()


def test_idle_threads_of_the_engine_do_not_spin_on_the_processors_of_the_services(engine: Engine, port: int) -> None:
    variables = find_engine(os.getpid(), port).environ()
    assert (variables["OPENBLAS_NUM_THREADS"], variables["OMP_NUM_THREADS"]) == ("1", "1")


def test_the_engine_is_reached_from_this_machine_alone(engine: Engine, port: int) -> None:
    listening = [c for c in find_engine(os.getpid(), port).net_connections() if c.status == psutil.CONN_LISTEN]
    assert [(c.laddr.ip.removeprefix("::ffff:"), c.laddr.port) for c in listening] == [(HOST, port)]
    assert engine.access.environment["MALGIL_DOCUMENTS"] == f"http://{HOST}:{port}"


def test_a_folder_of_a_running_engine_is_refused(engine: Engine, tmp_path: Path) -> None:
    other = Engine(tmp_path / "data", free_ports().http, print)
    with pytest.raises(SetupError, match="in use by another"):
        other.start()
    other.stop()


def test_a_taken_port_is_one_sentence_before_triton_starts(tmp_path: Path) -> None:
    with closing(socket.create_server((HOST, 0))) as listener:
        taken = listener.getsockname()[1]
        with pytest.raises(SetupError, match=f"documents port {taken} on {HOST}: Address already in use; give"):
            Engine(tmp_path / "data", taken, print).start()


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path, port: int) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SetupError, match=r"--documents-folder .*: Not a directory"):
        Engine(tmp_path / "file" / "data", port, print).start()


@pytest.mark.parametrize("uri", ["localhost:19530", "http://localhost", "http://localhost:port", "ftp://localhost:1"])
def test_a_wrong_address_is_refused_before_triton_starts(uri: str) -> None:
    for options, variables in ((["--documents", uri], {}), ([], {"MALGIL_DOCUMENTS": uri})):
        result = CliRunner().invoke(main, [*options, "--free-ports"], env=variables)
        assert result.exit_code == 1
        assert "it must be http://HOST:PORT or https://HOST:PORT" in result.output


def test_an_engine_elsewhere_is_named_with_its_token_and_certificates(tmp_path: Path) -> None:
    access = Access("https://milvus.internal:19530", "root:secret", tmp_path / "ca.pem")
    assert access.environment == {
        "MALGIL_DOCUMENTS": "https://milvus.internal:19530",
        "MALGIL_DOCUMENTS_TOKEN": "root:secret",
        "MALGIL_DOCUMENTS_CA": str(tmp_path / "ca.pem"),
    }


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_triton_stays_when_the_engine_is_killed_and_neither_outlives_the_server(
    repository: Path, index: Path, tmp_path: Path, number: signal.Signals
) -> None:
    command = [*SERVE, "--free-ports", "--repository", str(repository), "--documents-folder", str(tmp_path / "data")]
    log = tmp_path / "log"
    with (
        log.open("wb") as stream,
        subprocess.Popen([*command, "--documents"], stdout=subprocess.PIPE, stderr=stream, text=True) as launcher,
    ):
        try:
            assert launcher.stdout
            announced = "".join(launcher.stdout.readline() for _ in range(5))
            assert announced.startswith("ready"), log.read_text(errors="replace")[-3000:]
            (port,) = re.findall(rf"documents +http://{HOST}:(\d+)", announced)
            children = set(psutil.Process(launcher.pid).children(recursive=True))
            engine = find_engine(launcher.pid)
            tritons = {child for child in children if child.name() == "tritonserver"}
            assert tritons
            assert all(child.environ()["MALGIL_DOCUMENTS"] == f"http://{HOST}:{port}" for child in tritons)
            engine.kill()
            assert gone({engine})
            assert listens(int(port), 30)
            assert all(child.is_running() for child in tritons)
            children |= {find_engine(launcher.pid)}
            launcher.send_signal(number)
            launcher.wait(40)
            assert gone(children)
            assert not listens(int(port))
        finally:
            launcher.kill()


def test_the_server_starts_the_engine_without_importing_documents() -> None:
    code = "import server.__main__, sys; sys.exit('documents' in sys.modules or 'pymilvus' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
