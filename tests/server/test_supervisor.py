"""The supervisor: what dies or hangs is started again at the same addresses, until the user stops it."""

from __future__ import annotations

import contextlib
import re
import signal
import time
from functools import partial
from pathlib import Path

import malgil
import psutil
import pytest
from malgil_core.index.reader import current

from server.health import OVERDUE_SECONDS, PROBE_SECONDS, Health
from server.launcher import Server
from server.triton import SetupError
from tests.live import until
from tests.server.test_launcher import gone, serving, shared_memory
from tests.soak.heal import find

pytestmark = pytest.mark.live


def generation_within(url: str, seconds: float) -> int:
    """The generation of the first search that is answered."""
    deadline = time.monotonic() + seconds
    with malgil.SearchClient(url, timeout=2, retries=0) as client:
        while True:
            try:
                return client.generation()
            except malgil.MalgilError:
                assert time.monotonic() < deadline
                time.sleep(0.1)


def fails_within(url: str, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    with malgil.SearchClient(url, timeout=2, retries=0) as client:
        while client.ready():
            assert time.monotonic() < deadline
            time.sleep(0.02)


@pytest.mark.parametrize("name", ["tritonserver", "tokenizer", "encoder", "scorer", "suggest"])
def test_whichever_process_is_killed_the_same_generation_serves_again_at_the_same_address(
    repository: Path, index: Path, tmp_path: Path, name: str
) -> None:
    log = tmp_path / "log"
    with serving(repository, log) as (launcher, announced, children):
        (url,) = re.findall(r"gRPC +(\S+)", announced)
        find(launcher.pid, name).kill()
        fails_within(url, 5)
        assert generation_within(url, 60) == current(index)
        assert gone(children - {psutil.Process(launcher.pid)})  # no stub of the old one holds its memory
        (line,) = re.findall(r"^.*restart 1 in 0 s$", log.read_text(errors="replace"), re.MULTILINE)
        assert ("tritonserver ended with" if name == "tritonserver" else f"the process of {name}_0_0 (pid ") in line
        launcher.send_signal(signal.SIGTERM)
        assert launcher.wait(30) == 0
        assert not shared_memory(launcher.pid)


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("tritonserver", f"no answer to a search within {OVERDUE_SECONDS:.0f} s"),
        ("encoder", "Stub process 'encoder_0_0' is not healthy"),  # Triton itself gives up on it after some seconds
    ],
)
def test_a_process_that_hangs_is_started_again_within_half_a_minute(
    repository: Path, index: Path, tmp_path: Path, name: str, cause: str
) -> None:
    log = tmp_path / "log"
    with serving(repository, log) as (launcher, announced, children):
        (url,) = re.findall(r"gRPC +(\S+)", announced)
        find(launcher.pid, name).suspend()  # lives, and never answers
        assert gone(children, PROBE_SECONDS + OVERDUE_SECONDS + 20)
        assert generation_within(url, 60) == current(index)
        assert cause in "".join(re.findall(r".*restart 1 in 0 s", log.read_text(errors="replace")))


def test_a_full_queue_is_a_sign_of_life_only_while_it_moves(server: Server) -> None:
    now = 0.0
    health = Health(server, lambda: now)

    def counted(least: float) -> bool:
        return health.answered() >= least

    try:
        with malgil.SearchClient(server.grpc_url) as client:
            for _ in range(3):
                asked = health.answered() + 1
                client.generation()
                until(partial(counted, asked))
                now += OVERDUE_SECONDS
                health.check_queue()
                assert health.problem() is None
        health.close()
        time.sleep(PROBE_SECONDS)  # its own last search is counted by now
        health.check_queue()
        now += OVERDUE_SECONDS + 1
        health.check_queue()
        assert health.problem() == f"the queue is full, and nothing was answered for {OVERDUE_SECONDS:.0f} s"
    finally:
        health.close()


def test_a_model_that_dies_during_a_restart_is_not_waited_for(repository: Path, index: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with serving(repository, log) as (launcher, announced, children):
        (url,) = re.findall(r"gRPC +(\S+)", announced)
        find(launcher.pid, "tritonserver").kill()
        assert gone(children)
        deadline = time.monotonic() + 30
        while True:
            with contextlib.suppress(SetupError):
                find(launcher.pid, "scorer").kill()
                break
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert generation_within(url, 90) == current(index)
        assert "restart 2 in " in log.read_text(errors="replace")


def test_a_signal_during_a_restart_stops_the_command(repository: Path, index: Path, tmp_path: Path) -> None:
    with serving(repository, tmp_path / "log") as (launcher, _, _):
        find(launcher.pid, "tritonserver").kill()
        time.sleep(1)  # the next one is loading
        launcher.send_signal(signal.SIGTERM)
        launcher.wait(30)
        assert not shared_memory(launcher.pid)
