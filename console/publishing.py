"""Publishing from the console, and rolling back: a job in a thread, with its progress and result.

A console that is killed leaves nothing half published: the index writer replaces CURRENT last, and atomically.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from threading import Lock, Thread
from typing import IO

import malgil
from malgil_core.encoder import EncoderMetadata
from malgil_core.index import history, reader
from malgil_core.index.building import Vectors
from malgil_core.index.generation import GenerationError

from console import record
from console.draft import Draft
from console.draft.problems import FAILURES, sentence
from console.jobs import Job, Jobs
from console.settings import Settings
from export.catalog.publish import Publisher
from export.catalog.source import Loaded
from export.errors import ExportError
from export.options import KEEP
from store.errors import StoreError
from store.store import Store

LOOK_SECONDS = 2.0  # for a server to say which generation it serves
log = logging.getLogger(__name__)


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
        self._jobs = Jobs(settings.index)
        self._job: Job | None = None
        self._mutex = Lock()
        self._thread: Thread | None = None

    @property
    def job(self) -> Job | None:
        """The last job, of whatever console on this index; None if there was none."""
        if self._job is not None and self._job.state == "running":
            return self._job
        job = self._jobs.last()
        if job is not None and job.state == "interrupted":
            return replace(job, sentence=self._interrupted(job))
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
            problem = sentence(error) if isinstance(error, malgil.MalgilError) else f"주소를 쓸 수 없어요: {error}"
            return Serving(url, None, problem.removesuffix(" 다시 연결되면 저절로 이어져요."))

    def _start(self, job: Job, work: Work) -> Job:
        with self._mutex:
            lock = self._jobs.lock()
            self._job = job
            self._jobs.write(job)
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
            self._jobs.write(ended)
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
        note = record.note_of(job.note, snapshot.revision)
        self._store.record("publish", "catalog", f"generation {made.number}", by=job.by, note=note)
        result = f"게시했어요(세대 {made.number}). 서비스 {made.services:,}개 가운데 {made.open:,}개가 오픈이에요."
        return replace(job, state="done", generation=made.number, revision=snapshot.revision, sentence=result)

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
        revision = record.revision_of(self._store, target)
        note = record.note_of(job.note, revision)
        self._store.record("rollback", "catalog", f"generation {new} = {target}", by=job.by, note=note)
        result = f"세대 {target}의 내용으로 되돌렸어요. 새 번호는 {new}번이에요."
        return replace(job, state="done", generation=new, target=target, revision=revision, sentence=result)

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
