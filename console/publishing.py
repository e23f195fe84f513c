"""Publishing from the console: one job at a time, its progress and its result, kept beside the index.

A job writes what it is doing into index/console-publish.json and holds a lock while it runs: if the process is killed,
the lock is free and the file still says "running", so that the next console shows the job as interrupted. What serves
is whole in any case: the index writer replaces CURRENT last, and atomically.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from threading import Lock, Thread
from typing import IO

import malgil
from malgil_core.encoder import EncoderMetadata
from malgil_core.index import history, reader
from malgil_core.index.building import Vectors
from malgil_core.index.generation import GenerationError

from console.draft import Draft
from console.draft.problems import FAILURES, sentence
from console.settings import Settings
from export.catalog.publish import Publisher
from export.catalog.source import Loaded
from export.errors import ExportError
from export.options import KEEP
from store.errors import StoreError
from store.store import Store

LOOK_SECONDS = 2.0  # for a server to say which generation it serves
FILE, LOCK = "console-publish.json", ".console-publish.lock"
log = logging.getLogger(__name__)


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


@dataclass(frozen=True)
class Serving:
    """What a server says that it serves; `problem` is a Korean sentence if it does not say."""

    url: str
    generation: int | None
    problem: str | None


Work = Callable[[Callable[[Job], None], Job], Job]


class Publishing:
    """The job that publishes the store's catalog, or goes back to an older generation.

    Args:
        settings: of the console.
        store: whose catalog is published, and which keeps the record.
        draft: whose vectors are published, where it has them.
    """

    def __init__(self, settings: Settings, store: Store, draft: Draft | None = None) -> None:
        self._settings, self._store, self._draft = settings, store, draft
        self._job: Job | None = None
        self._mutex = Lock()
        self._thread: Thread | None = None

    @property
    def job(self) -> Job | None:
        """The last job, of whatever console on this index; None if there was none."""
        if self._job is not None and self._job.state == "running":
            return self._job
        job = self._read()
        if job is not None and job.state == "running" and not self._is_locked():
            job = replace(job, state="interrupted", sentence=self._interrupted(job))
        return job

    def publish(self, by: str, note: str) -> Job:
        """Publish the store's catalog in a thread.

        Raises:
            BusyError: another job runs.
        """
        return self._start(Job("publish", by, note.strip()[:500], _now()), self._publish)

    def roll_back(self, number: int, by: str, note: str = "") -> Job:
        """Make an older generation serve again, in a thread; raises as `publish` does."""
        return self._start(Job("rollback", by, note.strip()[:500], _now(), target=number), self._roll_back)

    def wait(self, timeout: float | None = None) -> None:
        """Wait for the end of this console's job."""
        if self._thread:
            self._thread.join(timeout)

    def servers(self) -> list[Serving]:
        """The generation of each configured server, asked at the same time; within LOOK_SECONDS or so."""
        urls = list(dict.fromkeys((self._settings.access.url, *self._settings.servers)))
        with ThreadPoolExecutor(len(urls), "servers") as pool:
            return list(pool.map(self._serving, urls))

    def _serving(self, url: str) -> Serving:
        try:
            with replace(self._settings.access, url=url).client() as client:
                return Serving(url, client.generation(timeout=LOOK_SECONDS), None)
        except (malgil.MalgilError, ExportError) as error:
            said = sentence(error) if isinstance(error, malgil.MalgilError) else f"주소를 쓸 수 없어요: {error}"
            return Serving(url, None, said.removesuffix(" 다시 연결되면 저절로 이어져요."))

    def _start(self, job: Job, work: Work) -> Job:
        with self._mutex:
            lock = self._locked()
            self._job = job
            self._write(job)
            self._thread = Thread(target=self._run, args=(job, work, lock), name=job.kind, daemon=True)
            self._thread.start()
        return job

    def _run(self, job: Job, work: Work, lock: IO[str]) -> None:
        with lock:
            try:
                ended = work(self._progress, job)
            except (*FAILURES, StoreError, history.HistoryError, GenerationError) as error:
                ended = replace(job, state="failed", sentence=_problem(error))
            except Exception as error:  # the page must not show a job that is dead as one that runs
                log.exception("the %s failed", job.kind)
                ended = replace(job, state="failed", sentence=f"문제가 생겼어요({type(error).__name__}).")
            latest = self._job or job
            ended = replace(ended, done=latest.done, total=latest.total)
            self._write(ended)
            self._job = ended

    def _progress(self, job: Job) -> None:
        self._job = job

    def _publish(self, progress: Callable[[Job], None], job: Job) -> Job:
        given, snapshot = self._settings, self._store.snapshot()
        publisher = Publisher(
            Loaded(snapshot.catalog, "the console's store"), given.repository, given.index, given.access, None, KEEP,
            given.null_topics, {}, given.settings_file, self._known(),
        )  # fmt: skip
        made = publisher.run(
            lambda done, total: progress(replace(job, done=done, total=total, revision=snapshot.revision))
        )
        note = " · ".join(filter(None, [job.note, f"revision {snapshot.revision}"]))
        self._store.record("publish", "catalog", f"generation {made.number}", by=job.by, note=note)
        said = f"게시했어요(세대 {made.number}). 서비스 {made.services:,}개 가운데 {made.open:,}개가 오픈이에요."
        return replace(job, state="done", generation=made.number, revision=snapshot.revision, sentence=said)

    def _known(self) -> Callable[[str], Vectors | None] | None:
        """The draft's vectors, so that what was tested is what serves to the last digit."""
        drafted = self._draft.drafted if self._draft else None
        if drafted is None or drafted.built.manifest["encoder"]["fingerprint"] != self._fingerprint():
            return None
        return drafted.vector_of

    def _fingerprint(self) -> str:
        return EncoderMetadata.of(self._settings.repository).fingerprint

    def _roll_back(self, progress: Callable[[Job], None], job: Job) -> Job:
        index = self._settings.index
        target, new = history.rollback(index, job.target, self._fingerprint())
        revision = self._revision_of(target)
        note = " · ".join(filter(None, [job.note, f"revision {revision}" if revision is not None else ""]))
        self._store.record("rollback", "catalog", f"generation {new} = {target}", by=job.by, note=note)
        said = f"세대 {target}의 내용으로 되돌렸어요. 새 번호는 {new}번이에요."
        return replace(job, state="done", generation=new, target=target, revision=revision, sentence=said)

    def _revision_of(self, number: int) -> int | None:
        """The store's revision that a generation was published from, by the record; None if it does not tell."""
        for change in self._store.history(kind="catalog", limit=500):
            if change.action in ("publish", "rollback") and change.name.startswith(f"generation {number}"):
                words = change.note.rpartition("revision ")[2].split()
                if words and words[0].isdigit() and change.name.split()[1] == str(number):
                    return int(words[0])
        return None

    def _interrupted(self, job: Job) -> str:
        """What an interrupted job left behind."""
        try:
            number = reader.current(self._settings.index)
        except (GenerationError, OSError):
            number = None
        serves = "아직 아무것도 게시되지 않았어요." if number is None else f"서비스는 세대 {number} 그대로예요."
        if number is not None and self._created(number) >= job.started[:19]:
            serves = f"그래도 게시는 온전히 끝났어요(세대 {number})."
        return f"콘솔이 도중에 꺼져서 작업이 끊겼어요. {serves}"

    def _created(self, number: int) -> str:
        try:
            return str(history.manifest(self._settings.index, number).get("created", ""))
        except GenerationError:
            return ""

    def _read(self) -> Job | None:
        try:
            return Job(**json.loads((self._settings.index / FILE).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def _write(self, job: Job) -> None:
        self._settings.index.mkdir(parents=True, exist_ok=True)
        part = self._settings.index / f".{FILE}.part"
        part.write_text(json.dumps(asdict(job), ensure_ascii=False), encoding="utf-8")
        part.replace(self._settings.index / FILE)

    def _locked(self) -> IO[str]:
        """The lock of jobs, held until the file is closed or the process dies."""
        self._settings.index.mkdir(parents=True, exist_ok=True)
        file = (self._settings.index / LOCK).open("a")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            job = self._read()
            who = f"{job.by} 님이 " if job else ""
            raise BusyError(f"지금 {who}게시하고 있어요. 끝난 뒤에 다시 해 주세요.") from None
        return file

    def _is_locked(self) -> bool:
        with _tried(self._settings.index / LOCK) as free:
            return not free


@contextmanager
def _tried(path: Path) -> Iterator[bool]:
    """Whether a lock is free."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        yield True
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        yield True
    except OSError:
        yield False
    finally:
        os.close(descriptor)


def _problem(error: Exception) -> str:
    if isinstance(error, history.HistoryError):
        return f"되돌릴 수 없어요: {error}"
    if isinstance(error, GenerationError):
        return f"세대를 읽을 수 없어요: {error}"
    if isinstance(error, StoreError):
        return f"저장소를 쓸 수 없어요: {error}"
    if isinstance(error, ExportError) and isinstance(error.__context__, malgil.MalgilError):
        return sentence(error.__context__)
    return sentence(error).replace("초안을 만들 수 없어요", "게시할 수 없어요")


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
