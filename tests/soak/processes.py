"""The processes of a server under test: whether all live, and how much memory they hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import psutil

from server import stubs
from server.launcher import Server

# What a process may grow by after the warm-up without being called leaking. It leaks if it passes the bound steadily,
# half of it in each half of the time: onnxruntime's arena keeps what the largest batch so far needed, and has grown by
# 73 MB in one step, late, in a run of 100,000 requests, and not at all in another.
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
    leaked: bool  # whether a bound is passed, half of it in each half

    @classmethod
    def between(cls, before: Memory, middle: Memory, after: Memory) -> Growth:
        """Of the processes that live in all three."""
        names = before.rss.keys() & middle.rss.keys() & after.rss.keys()
        points = {name: [memory.rss[name] / MB for memory in (before, middle, after)] for name in sorted(names)}
        shm = [memory.shm / MB for memory in (before, middle, after)]
        leaked = _steady(shm, SHM_BOUND_MB) or any(_steady(own, RSS_BOUND_MB) for own in points.values())
        return cls({name: round(own[2] - own[0], 1) for name, own in points.items()}, round(shm[2] - shm[0], 1), leaked)


class Processes:
    """tritonserver and its stubs, as they were when this was made."""

    def __init__(self, server: Server) -> None:
        triton = server.process.pid
        self._all = {"tritonserver": psutil.Process(triton)} | {name: stub for stub, name in stubs.find(triton).items()}
        self._prefix = server.shm_prefix
        self.dead = False

    def look(self) -> list[str]:
        """The names of those that have died since the last look."""
        gone = [name for name, process in self._all.items() if not stubs.is_running(process)]
        for name in gone:
            del self._all[name]
        self.dead |= bool(gone)
        return gone

    def memory(self) -> Memory:
        """What those that live hold."""
        rss = {name: process.memory_info().rss for name, process in self._all.items() if stubs.is_running(process)}
        shm = sum(region.stat().st_size for region in Path("/dev/shm").glob(f"{self._prefix}*"))
        return Memory(rss, shm)


def _steady(points: Sequence[float], bound: float) -> bool:
    return all(later - earlier > bound / 2 for earlier, later in pairwise(points))
