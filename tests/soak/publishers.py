"""Processes that publish into an index, some of which are killed, and what is left of them."""

from __future__ import annotations

import contextlib
import fcntl
import json
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType

from malgil_core.catalog.reading import Service
from malgil_core.index.history import Line

from export import ROOT
from export.catalog import embedding
from export.options import KEEP
from tests.soak import publisher
from tests.soak.publisher import COLLECTED, READY, save_vectors

PATIENCE = 20.0  # seconds in which a publisher that is not killed is done

Finding = tuple[str, str]  # "torn", "lost", "stuck" or "littered", and a sentence


class Publisher:
    """A process that publishes one attempt when it is told to."""

    def __init__(self, command: Sequence[str | Path], attempt: int) -> None:
        self.attempt = attempt
        self.printed: list[str] = []
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
        self.pid = self._process.pid

    def get_ready(self) -> None:
        """Wait until it can be told.

        Raises:
            RuntimeError: it ended; the text is its error.
        """
        if self._line() != READY:
            raise RuntimeError(f"a publisher does not begin: {self._process.communicate()[1]}")

    def go(self) -> float:
        """Tell it to publish; when that was."""
        assert self._process.stdin
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        return time.perf_counter()

    def done(self) -> float:
        """Wait until it has published and collected, or for PATIENCE, after which it is killed; when that was."""
        watchdog = threading.Timer(PATIENCE, self._process.kill)
        watchdog.start()
        while COLLECTED not in self.printed and (line := self._line()):
            self.printed.append(line)
        watchdog.cancel()
        return time.perf_counter()

    def stop(self, kill: bool) -> str:
        """Kill it, or give it PATIENCE to do what it was told; what it wrote to stderr."""
        if kill:
            self._process.kill()
        try:
            printed, errors = self._process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            printed, errors = self._process.communicate()
        self.printed += printed.split()
        return errors

    @property
    def number(self) -> int | None:
        """The generation that it acknowledged."""
        return int(self.printed[0]) if self.printed else None

    def _line(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline().strip()


class PublishedIndex:
    """An index, the processes that publish into it, and what they acknowledged. Use as a context manager."""

    def __init__(self, folder: Path, repository: Path, sample: Sequence[Service]) -> None:
        self.folder = folder / "index"
        self.acknowledged: dict[int, int] = {}  # generation → attempt
        self._sample, self._repository, self._work = sample, repository, folder / "work"
        self._work.mkdir(parents=True)
        self.folder.mkdir()
        texts = list(dict.fromkeys(text for service in sample for text in service.texts))
        save_vectors(self._work / "vectors.safetensors", texts, embedding.offline(repository)(texts))
        self._attempts = 0
        self._spare: Publisher | None = None

    def __enter__(self) -> PublishedIndex:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._spare:
            self._spare.stop(kill=True)

    def rehearse(self) -> float:
        """Publish without a kill; seconds."""
        publisher = self._next()
        began = publisher.go()
        seconds = publisher.done() - began
        errors = publisher.stop(kill=False)
        if COLLECTED not in publisher.printed:
            raise RuntimeError(f"a publisher that was not killed failed: {errors}")
        self._note(publisher)
        return seconds

    def kill(self, instant: float) -> tuple[str, list[Finding]]:
        """Kill a publisher so many seconds after it began; the step that it was in, and what is wrong."""
        victim, before = self._next(), self._stamps()
        _sleep_until(victim.go() + instant)
        victim.stop(kill=True)
        self._note(victim)
        with (self.folder / ".lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                found: list[Finding] = []
            except BlockingIOError:
                found = [("stuck", "the lock is held after its publisher died")]
        if COLLECTED in victim.printed:
            found += self.litter()
        return self._step(victim, before), found

    def kill_one_of_two(self, instant: float, victim_first: bool) -> tuple[bool, list[Finding]]:
        """Kill one of two publishers; whether one waited for the other then, and what is wrong."""
        pair = victim, other = self._next(), self._next()
        for one in pair if victim_first else pair[::-1]:
            began = one.go()
            if one is victim:
                told = began
        _sleep_until(told + instant)
        waiting = {one.pid for one in pair} & _waiting()
        victim.stop(kill=True)
        errors = other.stop(kill=False)
        self._note(victim, other)
        if COLLECTED not in other.printed:
            return bool(waiting), [("stuck", f"the other publisher did not end: {errors[-500:]}")]
        return bool(waiting), self.litter() if other.pid in waiting else []

    def litter(self) -> list[Finding]:
        """What a publish should have cleared away."""
        hidden = sorted(path.name for path in self.folder.rglob(".*") if path.name != ".lock")
        return [("littered", f"{', '.join(hidden)} is left")] if hidden else []

    def _services(self, attempt: int) -> list[Service]:
        """What an attempt publishes: a seventh of the sample is away, and each path says which attempt it is."""
        here = [service for i, service in enumerate(self._sample) if (i + attempt) % 7]
        return [replace(one, parent_id=None, path=f"{one.path} > {attempt}") for one in here]

    def lines(self, attempt: int) -> list[Line]:
        """The catalog of an attempt, as `history.catalog` gives it."""
        return [one.as_dict() for one in self._services(attempt)]

    def _start(self) -> Publisher:
        self._attempts += 1
        catalog = self._work / f"{self._attempts % 4}.jsonl"  # no more than two are at work
        catalog.write_text("\n".join(map(json.dumps, self.lines(self._attempts))), encoding="utf-8")
        module = [sys.executable, "-m", publisher.__name__]
        inputs = [self.folder, catalog, self._work / "vectors.safetensors", self._repository]
        return Publisher([*module, *(path.resolve() for path in inputs), str(KEEP)], self._attempts)

    def _next(self) -> Publisher:
        """One that waits to be told."""
        taken, self._spare = self._spare or self._start(), None
        taken.get_ready()
        return taken

    def _note(self, *stopped: Publisher) -> None:
        """Keep what they acknowledged; the next begins to import while the index is looked at."""
        self.acknowledged.update({one.number: one.attempt for one in stopped if one.number is not None})
        self._spare = self._start()

    def _stamps(self) -> dict[str, tuple[int, int]]:
        """Path below the index → inode, time of the last change."""
        paths = {path.relative_to(self.folder).as_posix(): path.lstat() for path in self.folder.rglob("*")}
        return {path: (stat.st_ino, stat.st_mtime_ns) for path, stat in paths.items() if path != ".lock"}

    def _step(self, victim: Publisher, before: dict[str, tuple[int, int]]) -> str:
        """What a publisher was doing when it died, by what it printed and what is in the index."""
        after = self._stamps()
        changed = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
        steps = {
            "all done": COLLECTED in victim.printed,
            "acknowledged, collecting": victim.number is not None,
            "CURRENT replaced": "CURRENT" in changed,
            "writing CURRENT": any(path.startswith(".CURRENT") for path in changed),
            "generation renamed": any(path.rpartition("/")[2].isdigit() for path in changed),
            "syncing files": any(path.endswith(".tmp/manifest.json") for path in changed & after.keys()),
            "writing files": any(".tmp" in path for path in changed),
        }
        return next((step for step, is_so in steps.items() if is_so), "before the first write")


def _waiting() -> set[int]:
    """Processes that wait for a lock, as far as Linux tells."""
    with contextlib.suppress(OSError):
        lines = Path("/proc/locks").read_text(encoding="ascii").splitlines()
        return {int(line.split()[5]) for line in lines if "->" in line}
    return set()


def _sleep_until(instant: float) -> None:
    """Sleep until `time.perf_counter` says so, to some 0.1 ms."""
    time.sleep(max(instant - time.perf_counter(), 0))
