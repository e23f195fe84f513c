"""The log of events: lines of JSON that are appended to segments of a folder in the background.

Any number of processes write to one folder without a lock, each to segments of its own.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from malgil_core.events.segment import Segment, new_name

STATUSES = ("written", "dropped", "refused")  # of an event; the last is for those that never come to the log
MEASURE_SECONDS = 10.0  # between two looks at the size of the folder
_FOLDER_MODE = 0o750


@dataclass(frozen=True)
class Bounds:
    """The bounds of a log.

    Attributes:
        interval: seconds within which what was taken is on the disk, as long as that keeps up.
        segment_bytes, segment_seconds: a segment of this size or age is sealed.
        folder_bytes: what the folder may hold, segments of others among it.
        waiting_bytes: lines that may wait for the disk, in memory.
    """

    interval: float = 1.0
    segment_bytes: int = 16 * 2**20
    segment_seconds: float = 600.0
    folder_bytes: int = 2**30
    waiting_bytes: int = 32 * 2**20


DEFAULTS = Bounds()


class EventLog:
    """A log that one process writes. `start()` and `close()` it, once.

    `append` takes lines into memory, and takes no more where the disk or the folder is full. A thread writes and syncs
    them twice in each interval: a process that is killed loses what it was given in the last interval at most.

    Args:
        folder: of the segments; it is made if it is missing.
        bounds: of time and size.
        count: called with a status and a number of lines: "written" once they are on the disk, "dropped".
        say: called with "error" or "info", and a sentence, when it begins or ceases to drop lines.
        clock: seconds since 1970, for the names of segments alone.
        monotonic: seconds, for everything else.
    """

    def __init__(
        self,
        folder: Path,
        bounds: Bounds = DEFAULTS,
        count: Callable[[str, int], None] = lambda status, lines: None,
        say: Callable[[str, str], None] = lambda level, sentence: None,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder, self._bounds, self._count, self._say = folder, bounds, count, say
        self._clock, self._monotonic = clock, monotonic
        self._lock = threading.Lock()
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._dropped = 0  # since `_problem` came up
        self._problem = ""  # why nothing is taken
        self._segment: Segment | None = None
        self._folder_bytes, self._measured_at = 0, float("-inf")
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._keep_flushing, name="events", daemon=True)

    def start(self) -> None:
        """Make the folder, and begin to write; if it cannot be made, lines are dropped until it can."""
        self.flush()
        self._thread.start()

    def append(self, lines: Sequence[bytes]) -> bool:
        """Take lines, without line breaks, all or none; whether they were taken."""
        size = sum(map(len, lines)) + len(lines)
        with self._lock:
            taken = not self._problem and self._waiting_bytes + size <= self._bounds.waiting_bytes
            if taken:
                self._waiting += lines
                self._waiting_bytes += size
            else:
                self._dropped += len(lines)
        if not taken:
            self._count("dropped", len(lines))
        return taken

    def flush(self) -> None:
        """Write what waits, and seal the segment if it is full or old. For one thread; does not raise."""
        with self._lock:
            lines, self._waiting, self._waiting_bytes = self._waiting, [], 0
        problem = ""
        try:
            self._check_folder()
            if self._measure() >= self._bounds.folder_bytes:
                problem = f"{self._folder} holds {self._bounds.folder_bytes / 2**20:g} MiB or more, which is its bound"
            if lines:
                self._write(lines)
        except Exception as error:  # whatever it is, the thread must go on
            with self._lock:
                self._waiting[:0] = lines
                self._waiting_bytes = sum(map(len, self._waiting)) + len(self._waiting)
            reason = (error.strerror if isinstance(error, OSError) else None) or repr(error)
            problem = f"{self._folder} cannot be written to: {reason}"
        else:
            if lines:
                self._count("written", len(lines))
            self._seal_if_due()
        self._tell(problem)

    def close(self) -> None:
        """Write what waits, and seal the segment."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()
        self.flush()
        self._seal()
        with self._lock:
            lost, self._waiting, self._waiting_bytes, self._problem = len(self._waiting), [], 0, "the log is closed"
        if lost:
            self._count("dropped", lost)
            self._say("error", f"{lost} events were taken and could not be written")

    def _keep_flushing(self) -> None:
        while not self._stop.wait(self._bounds.interval / 2):
            self.flush()

    def _check_folder(self) -> None:
        self._folder.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
        if not os.access(self._folder, os.W_OK | os.X_OK):
            raise PermissionError(None, "Permission denied, or a read-only file system")

    def _measure(self) -> int:
        """Bytes of the folder, of late."""
        now = self._monotonic()
        if now - self._measured_at >= MEASURE_SECONDS:
            total = 0
            with os.scandir(self._folder) as entries:
                for entry in entries:
                    with contextlib.suppress(FileNotFoundError):  # renamed or removed meanwhile
                        total += entry.stat().st_size
            self._folder_bytes, self._measured_at = total, now
        return self._folder_bytes

    def _write(self, lines: Sequence[bytes]) -> None:
        if self._segment is None:
            self._segment = Segment(self._folder / new_name(self._clock()), self._monotonic())
        before = self._segment.size
        try:
            self._segment.write(lines)
        except BaseException:
            # The lines stay with the caller, for another segment: what made it here is cut off.
            self._segment.abandon()
            self._segment = None
            raise
        self._folder_bytes += self._segment.size - before

    def _seal_if_due(self) -> None:
        if self._segment is None:
            return
        age = self._monotonic() - self._segment.opened
        if self._segment.size >= self._bounds.segment_bytes or age >= self._bounds.segment_seconds:
            self._seal()

    def _seal(self) -> None:
        segment, self._segment = self._segment, None
        if segment is None:
            return
        try:
            segment.seal()
        except Exception:  # its lines are on the disk all the same
            segment.abandon()

    def _tell(self, problem: str) -> None:
        with self._lock:
            before, self._problem, dropped = self._problem, problem, self._dropped
            if not problem:
                self._dropped = 0
        if problem and not before:
            self._say("error", f"events are dropped: {problem}")
        elif dropped and not problem and not before:
            self._say("error", f"{dropped} events were dropped: the disk is slower than they come")
        elif before and not problem:
            self._say("info", f"events are written again; {dropped} were dropped")
