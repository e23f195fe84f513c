"""The last job that published or rolled back an index, of whatever console: kept beside it, one at a time.

A job writes what it is doing into index/console-publish.json and holds a lock while it runs. If its process is killed,
the lock is free and the file still says "running", so that the next console shows the job as interrupted.
"""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import IO

FILE, LOCK = "console-publish.json", ".console-publish.lock"


class BusyError(Exception):
    """Another job runs; the text says whose, in Korean."""


@dataclass(frozen=True)
class Job:
    """A publish or rollback.

    Attributes:
        kind: "publish" or "rollback".
        by, note: who started it, and what they wrote.
        started: ISO 8601, UTC.
        state: "running", "done", "failed" or "interrupted".
        done, total: texts embedded.
        generation: that the job made; None before.
        target: of a rollback, the generation gone back to.
        revision: of the store, that was published; None before.
        sentence: the result or the problem, in Korean.
    """

    kind: str
    by: str
    note: str
    started: str
    state: str = "running"
    done: int = 0
    total: int = 0
    generation: int | None = None
    target: int | None = None
    revision: int | None = None
    sentence: str = ""

    @property
    def at(self) -> datetime:
        """When it was started."""
        return datetime.fromisoformat(self.started)


class Jobs:
    """The job of an index, in its folder."""

    def __init__(self, index: Path) -> None:
        self._index = index

    def last(self) -> Job | None:
        """The last job; "interrupted" if it did not come to its end and nobody runs it. None if there was none."""
        job = self._read()
        if job is not None and job.state == "running" and not self._is_locked():
            return replace(job, state="interrupted")
        return job

    def write(self, job: Job) -> None:
        """Keep what a job is doing."""
        part = self._index / f".{FILE}.part"
        part.write_text(json.dumps(asdict(job), ensure_ascii=False), encoding="utf-8")
        part.replace(self._index / FILE)

    def lock(self) -> IO[str]:
        """The lock of jobs, held until the file is closed or the process dies.

        Raises:
            BusyError: a job holds it.
        """
        self._index.mkdir(parents=True, exist_ok=True)
        file = (self._index / LOCK).open("a")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            job = self._read()
            who = f"{job.by} 님이 " if job else ""
            raise BusyError(f"지금 {who}게시하고 있어요. 끝난 뒤에 다시 해 주세요.") from None
        return file

    def _read(self) -> Job | None:
        try:
            return Job(**json.loads((self._index / FILE).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def _is_locked(self) -> bool:
        try:
            descriptor = os.open(self._index / LOCK, os.O_RDONLY)
        except OSError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
        finally:
            os.close(descriptor)
        return False
