"""The processes that run Python models: Triton starts them, and does not notice when one dies."""

from __future__ import annotations

from collections.abc import Mapping

import psutil

EXECUTABLE = "triton_python_backend_stub"


def find(triton: int) -> dict[psutil.Process, str]:
    """The stubs of the tritonserver with this pid, dead ones included, each with the name of its model instance.

    Other children are left out: Triton starts shells, which soon end.
    """
    try:
        return {child: _name(child) for child in psutil.Process(triton).children() if _is_stub(child)}
    except psutil.NoSuchProcess:
        return {}


def describe_dead(stubs: Mapping[psutil.Process, str]) -> str | None:
    """A sentence about one that has died; None where all run."""
    for stub, name in stubs.items():
        if not is_running(stub):
            return f"the process of {name} (pid {stub.pid}) died"
    return None


def is_running(process: psutil.Process) -> bool:
    """Whether the process runs; a zombie does not."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _is_stub(process: psutil.Process) -> bool:
    try:
        # Linux keeps 15 characters of a name, and nothing else of a process that has died.
        return bool(process.name()[:15] == EXECUTABLE[:15])
    except psutil.Error:
        return False


def _name(stub: psutil.Process) -> str:
    """A stub's model instance, which is its last argument but one."""
    try:
        words = stub.cmdline()
    except psutil.Error:  # of a dead one nothing is left to read
        words = []
    return str(words[-2]) if len(words) > 8 else "a model"
