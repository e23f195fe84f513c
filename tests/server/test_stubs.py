"""Which processes below a tritonserver are models', and which of them have died."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import psutil

from server import stubs


def test_a_shell_that_triton_starts_and_that_ends_is_no_model_that_died(tmp_path: Path) -> None:
    sleep = shutil.which("sleep")
    assert sleep
    binary = shutil.copy(sleep, tmp_path / stubs.EXECUTABLE)
    shell, stub = subprocess.Popen(["sh", "-c", "true"]), subprocess.Popen([binary, "60"])
    try:
        os.waitid(os.P_PID, shell.pid, os.WEXITED | os.WNOWAIT)  # ended, and not reaped: as Triton leaves it
        while psutil.Process(stub.pid).name() != stubs.EXECUTABLE:
            pass
        found = stubs.find(os.getpid())
        assert {process.pid for process in found} == {stub.pid}
        assert stubs.describe_dead(found) is None
        stub.kill()
        os.waitid(os.P_PID, stub.pid, os.WEXITED | os.WNOWAIT)
        found = stubs.find(os.getpid())
        assert stubs.describe_dead(found) == f"the process of a model (pid {stub.pid}) died"
    finally:
        stub.kill()
        stub.wait()
        shell.wait()
