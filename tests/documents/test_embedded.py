"""The engine of a command's own: it ends with the command, however that ends."""

from __future__ import annotations

import subprocess
import sys

import psutil
import pytest

from export import ROOT

pytestmark = pytest.mark.live
COMMAND = """
from documents.embedded import embedded
with embedded():
    print("started", flush=True)
    input()
"""


def test_a_command_that_is_killed_leaves_no_engine_behind() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", COMMAND], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as command:
        assert command.stdout
        assert command.stdout.readline() == b"started\n"
        engines = psutil.Process(command.pid).children(recursive=True)
        assert any("milvus_lite" in engine.cmdline() for engine in engines)
        command.kill()
    assert psutil.wait_procs(engines, timeout=30)[1] == []
