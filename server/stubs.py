"""The processes of Python models, which Triton starts and does not miss when they die."""

from __future__ import annotations

from collections.abc import Mapping

import psutil


def of(triton: int) -> dict[psutil.Process, str]:
    """The stubs below a tritonserver, dead ones that it has not buried included, with what to call them."""
    try:
        return {child: _name(child) for child in psutil.Process(triton).children()}
    except psutil.NoSuchProcess:
        return {}


def died(stubs: Mapping[psutil.Process, str]) -> str | None:
    """A sentence about one that has died, or None."""
    for stub, name in stubs.items():
        if not lives(stub):
            return f"the process of {name} (pid {stub.pid}) died"
    return None


def lives(process: psutil.Process) -> bool:
    """Whether it runs: a dead one that its parent has not buried does not."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _name(stub: psutil.Process) -> str:
    """A stub's model instance, which is its last argument but one; else what it runs."""
    try:
        words = stub.cmdline()
    except psutil.Error:  # of a dead one nothing is left to read
        words = []
    return str(words[-2]) if len(words) > 8 else "a model"
