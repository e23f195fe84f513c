"""The processes of a server while it is fuzzed: whether all live, and how much memory they hold."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import psutil

from server.launcher import Server

# What a process may grow by after the warm-up without being called leaking: allocators keep what the largest batch
# needed, and the largest batch comes late.
RSS_BOUND_MB = 64.0
# The Python backend's regions grow by steps to what was in flight at once, and never shrink.
SHM_BOUND_MB = 64.0
MB = 2**20


@dataclass(frozen=True)
class Memory:
    """What a server holds, in bytes."""

    rss: dict[str, int]
    shm: int


@dataclass(frozen=True)
class Growth:
    """How much more a server holds than before."""

    rss_mb: dict[str, float]
    shm_mb: float

    @classmethod
    def between(cls, before: Memory, after: Memory) -> Growth:
        """Of the processes that live in both."""
        rss = {name: (after.rss[name] - size) / MB for name, size in before.rss.items() if name in after.rss}
        return cls({name: round(grown, 1) for name, grown in rss.items()}, round((after.shm - before.shm) / MB, 1))

    @property
    def leaked(self) -> bool:
        """Whether a bound is passed."""
        return self.shm_mb > SHM_BOUND_MB or any(grown > RSS_BOUND_MB for grown in self.rss_mb.values())


class Processes:
    """tritonserver and its stubs, as they were when this was made."""

    def __init__(self, server: Server) -> None:
        triton = psutil.Process(server.process.pid)
        self._all = {"tritonserver": triton} | {_name(stub): stub for stub in triton.children(recursive=True)}
        self._prefix = server.shm_prefix
        self.dead = False

    def look(self) -> list[str]:
        """The names of those that have died since the last look."""
        gone = [name for name, process in self._all.items() if not _lives(process)]
        for name in gone:
            del self._all[name]
        self.dead |= bool(gone)
        return gone

    def memory(self) -> Memory:
        """What those that live hold."""
        rss = {name: process.memory_info().rss for name, process in self._all.items() if _lives(process)}
        shm = sum(region.stat().st_size for region in Path("/dev/shm").glob(f"{self._prefix}*"))
        return Memory(rss, shm)


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _name(stub: psutil.Process) -> str:
    """The model instance of a stub, which its command line names last but one: `… encoder_0_0 DEFAULT`."""
    return str(stub.cmdline()[-2])
