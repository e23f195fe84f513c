"""`make console`: one command from a checkout to the search console."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from console.cli import main as console
from export import ROOT
from server.launcher import Server
from tests.conftest import CATALOG


@pytest.fixture
def options(tmp_path: Path) -> list[str]:
    """Of a console with the sample catalog, at a port that is free."""
    database = f"sqlite:///{tmp_path}/console.db"
    assert console(["import", str(CATALOG), "--only-if", "empty", "--database", database]) == 0
    return ["--port", "0", "--database", database, "--index", str(tmp_path / "index")]


@contextmanager
def started(tmp_path: Path, *words: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The command, and the address of the console."""
    command = [sys.executable, "-m", "server.with_console", *words]
    with (tmp_path / "log").open("w") as log:
        running = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        assert running.stdout
        line = running.stdout.readline()
        found = re.fullmatch(r"console: (http://127\.0\.0\.1:\d+)\n", line)
        assert found, (line, (tmp_path / "log").read_text(errors="replace")[-3000:])
        yield running, found[1]
    finally:
        running.kill()
        running.communicate()


def ask(address: str) -> str:
    with urllib.request.urlopen(f"{address}/services", timeout=30) as answer:
        text: str = answer.read().decode()
    return text


@pytest.mark.live
@pytest.mark.slow
@pytest.mark.parametrize("killed", [False, True])
def test_a_newcomer_gets_a_console_with_a_server_and_both_end_together(
    killed: bool, options: list[str], tmp_path: Path
) -> None:
    with started(tmp_path, "--free-ports", *options) as (running, address):
        assert "서비스 <strong>150</strong>개" in ask(address)
        below = psutil.Process(running.pid).children(recursive=True)
        (page,) = [one for one in below if "console" in one.cmdline()]
        assert any("tritonserver" in one.name() for one in below)
        if killed:
            os.kill(page.pid, signal.SIGKILL)
        else:
            running.terminate()
        assert (running.wait(60) == 0) is not killed
        assert not psutil.wait_procs(below, timeout=10)[1]


def test_beside_a_server_that_runs_the_console_alone_is_started(
    server: Server, options: list[str], tmp_path: Path
) -> None:
    with started(tmp_path, "--url", server.grpc_url, *options) as (running, address):
        assert "150" in ask(address)
        assert psutil.Process(running.pid).children() == []
        running.terminate()
        assert running.wait(20) == 0
