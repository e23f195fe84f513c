"""Asking for phrases in threads, one job at a time for a service, and the proposals that wait for a decision."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from threading import Event, Lock, Thread

from malgil_core.catalog.reading import Catalog
from malgil_core.catalog.service import Service
from malgil_core.index.building import Embed

from console.draft import Draft, DraftError
from console.suggestions import sentences
from export.suggest.errors import SuggestError
from export.suggest.parsing import LONGEST
from export.suggest.progress import Step
from export.suggest.proposals import Proposal
from export.suggest.settings import URL, Settings
from export.suggest.wording import fold
from store.types import Stored

MOST_RUNNING = 3  # jobs at a time: each is a request to an endpoint that may cost money
MOST_WAITING = 200  # proposals for a service without a decision
log = logging.getLogger(__name__)


class BusyError(Exception):
    """Too many jobs run; the text is a Korean sentence."""


@dataclass(frozen=True)
class Job:
    """Asking for phrases of a service.

    Attributes:
        by: who asked.
        state: "running", "done", "failed" or "cancelled".
        sentence: in Korean: what happens, the problem, or what is worth knowing of the result; may be empty.
    """

    by: str
    state: str = "running"
    sentence: str = ""


@dataclass(frozen=True)
class Suggested:
    """What there is for a service: the last job, and the proposals without a decision, good ones first."""

    job: Job | None = None
    proposals: tuple[Proposal, ...] = ()


@dataclass
class _Work:
    job: Job | None = None
    waiting: dict[str, Proposal] = field(default_factory=dict)  # by folded text
    decided: set[str] = field(default_factory=set)  # folded texts
    cancelled: Event = field(default_factory=Event)
    thread: Thread | None = None


class Suggestions:
    """Suggestions for the services of a catalog, kept in memory: they and the rejections end with the console.

    Args:
        catalog: gives the catalog that proposals are compared with.
        embed: texts → vectors [texts, D], with remembered ones for those of the catalog.
        settings: of the endpoint, or why it cannot be used.

    `catalog` and `embed` may raise DraftError.
    """

    def __init__(self, catalog: Callable[[], Catalog], embed: Embed, settings: Settings | SuggestError) -> None:
        self._catalog, self._embed = catalog, embed
        self.settings = settings if isinstance(settings, Settings) else None
        self.problem = "" if self.settings else sentences.FAULTS["settings"]
        self._works: dict[int, _Work] = {}  # by the key of the service
        self._lock = Lock()

    @classmethod
    def of(cls, draft: Draft, environment: Mapping[str, str] = os.environ) -> Suggestions | None:
        """Suggestions over a draft by the endpoint that the variables name; None where they name none."""
        if not environment.get(URL):
            return None
        settings: Settings | SuggestError
        try:
            settings = Settings.of(environment)
        except SuggestError as error:
            log.warning("suggestions: %s", error)
            settings = error
        return cls(lambda: _catalog_of(draft), draft.line_vectors, settings)

    def ask(self, stored: Stored[Service], by: str, count: int) -> bool:
        """Ask for phrases of a service, in a thread; False if somebody's job does so already.

        Raises:
            BusyError: too many jobs run.
        """
        assert self.settings
        with self._lock:
            work = self._works.setdefault(stored.key, _Work())
            if work.job and work.job.state == "running":
                return False
            if sum(other.job is not None and other.job.state == "running" for other in self._works.values()) >= (
                MOST_RUNNING
            ):
                raise BusyError(f"지금 다른 서비스 {MOST_RUNNING}곳의 제안을 받고 있어요. 끝난 뒤에 다시 해 주세요.")
            work.job, work.cancelled = Job(by), Event()
            arguments = (work, stored.value, count, work.cancelled)
            work.thread = Thread(target=self._run, args=arguments, name="suggest", daemon=True)
            work.thread.start()
        return True

    def of_service(self, key: int) -> Suggested:
        """What there is for the service of a key."""
        with self._lock:
            work = self._works.get(key)
            if work is None:
                return Suggested()
            return Suggested(work.job, tuple(sorted(work.waiting.values(), key=lambda one: one.verdict != "good")))

    def waiting(self) -> dict[int, int]:
        """How many proposals wait for a decision, by key of the service."""
        with self._lock:
            return {key: len(work.waiting) for key, work in self._works.items() if work.waiting}

    def decide(self, key: int, text: str) -> None:
        """Take a proposal off the list, accepted or rejected; it is not shown again for this service."""
        folded = fold(text[: 2 * LONGEST])  # no proposal is longer
        with self._lock:
            work = self._works.setdefault(key, _Work())
            work.waiting.pop(folded, None)
            work.decided.add(folded)

    def cancel(self, key: int) -> None:
        """End the job of a service."""
        if work := self._works.get(key):
            work.cancelled.set()

    def wait(self, key: int) -> None:
        """Wait for the end of a service's job."""
        if (work := self._works.get(key)) and work.thread:
            work.thread.join()

    def stop(self) -> None:
        """End all jobs."""
        for work in self._works.values():
            work.cancelled.set()

    def _run(self, work: _Work, service: Service, count: int, cancelled: Event) -> None:
        assert work.job
        try:
            self._take(work, self._asked(work, service, count, cancelled))
        except SuggestError as error:
            state = "cancelled" if error.code == "cancelled" else "failed"
            if state == "failed":
                log.warning("suggestions for service %s: %s", service.id, error)
            work.job = Job(work.job.by, state, sentences.FAULTS[error.code])
        except DraftError as error:
            work.job = Job(work.job.by, "failed", str(error))
        except Exception as error:  # a job that is dead must not look as if it ran
            log.exception("the suggestions for service %s failed", service.id)
            work.job = Job(work.job.by, "failed", f"제안을 받다가 문제가 생겼어요({type(error).__name__}).")

    def _asked(self, work: _Work, service: Service, count: int, cancelled: Event) -> list[Proposal]:
        from export.suggest.proposing import suggest  # the endpoint's package takes a second to import

        assert self.settings
        job, notes = Job(work.job.by if work.job else ""), []

        def progress(told: Step) -> None:
            if cancelled.is_set():
                raise SuggestError("cancelled", "cancelled")
            if told.code == "cut":
                notes.append(sentences.CUT)
            else:
                work.job = replace(job, sentence=sentences.step(told))

        found = suggest(
            service, self._catalog(), self.settings, self._embed, progress, count=count, cancelled=cancelled
        )
        work.job = replace(job, sentence=" ".join(notes))
        return found

    def _take(self, work: _Work, proposals: list[Proposal]) -> None:
        with self._lock:
            new = {fold(one.text): one for one in proposals if fold(one.text) not in work.decided}
            work.waiting = dict([*(work.waiting | new).items()][-MOST_WAITING:])
            assert work.job
            result = work.job.sentence or ("" if new else sentences.NOTHING_NEW)
            work.job = Job(work.job.by, "done", result)


def _catalog_of(draft: Draft) -> Catalog:
    """The draft's catalog: the vectors of all its texts are known.

    Raises:
        DraftError: it is not built yet.
    """
    if draft.drafted is None:
        raise DraftError(draft.state.problem or "초안을 만들고 있어요. 잠시 뒤에 다시 해 주세요.")
    return draft.drafted.catalog
