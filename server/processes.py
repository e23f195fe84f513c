"""Child processes that never outlive this one."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO


def start(
    command: Sequence[str],
    environment: Mapping[str, str] | None,
    log: IO[bytes] | None,
    stack: int | None = None,
) -> subprocess.Popen[bytes]:
    """Start a command in a process group of its own; `kill_group` kills all of it.

    Args:
        command: the program and its arguments.
        environment: its variables; None: those of this process.
        log: where its output goes; None shares this process's stderr.
        stack: bytes of each thread's stack; None: as the system has it.
    """
    return subprocess.Popen(
        [*stop_with_parent(), *(limit_stack(stack) if stack else []), *command],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,  # a terminal's Ctrl-C reaches this process alone, which passes it on
    )


def stop(process: subprocess.Popen[bytes], seconds: float) -> int:
    """Stop a process that `start` made, and kill it and everything that it started after so many seconds.

    Returns its exit code.
    """
    if process.poll() is None:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
    return kill_group(process)


def kill_group(process: subprocess.Popen[bytes]) -> int:
    """Kill a process that `start` made and everything that it started; its exit code."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    code = process.wait()
    with contextlib.suppress(ChildProcessError):  # a container's first process inherits the children of its children
        while True:
            os.waitpid(-process.pid, 0)
    return code


def limit_stack(size: int) -> list[str]:
    """A prefix for a command whose threads are to have stacks of so many bytes, or as many as it may.

    Empty where prlimit is missing, and where Linux sets aside all the memory that a process might use.
    """
    prlimit = shutil.which("prlimit")  # of util-linux, as setpriv
    strict = Path("/proc/sys/vm/overcommit_memory").read_text(encoding="ascii").strip() == "2"
    if prlimit is None or strict:
        return []
    _, most = resource.getrlimit(resource.RLIMIT_STACK)
    return [prlimit, f"--stack={size if most == resource.RLIM_INFINITY else min(size, most)}:", "--"]


def stop_with_parent() -> list[str]:
    """A prefix for a command that Linux is to stop if this process is killed; empty where setpriv is missing.

    Linux does so when the thread that started the command ends, too.
    """
    setpriv = shutil.which("setpriv")  # of util-linux, which Debian and Ubuntu always have
    return [setpriv, "--pdeathsig", "TERM", "--"] if setpriv else []
