"""A test set run on the draft and on the live server: recall, what gets better, and what gets worse."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Event, Lock, Thread

import malgil

from console.draft import Draft, DraftError
from console.draft.problems import sentence
from export.catalog.labelled import Labelled

PART = 32  # queries between two reports of progress
PLACES = 5  # a service further down counts as not found
LEFT_SECONDS = 15.0  # without anybody looking, after which a run ends
KEPT = 8  # runs whose results are kept


@dataclass(frozen=True)
class Judged:
    """A query of the set.

    Attributes:
        labelled: the query, and the service that should be found; id None: nothing should be.
        draft, live: the place of the service among the hits, from 1; 0 if it is not among the first PLACES; 1 for an
            answer that is empty where it should be. live is None where the live server did not answer.
        draft_first, live_first: the name of the first hit, empty for an empty answer.
    """

    labelled: Labelled
    draft: int
    live: int | None
    draft_first: str
    live_first: str

    @property
    def change(self) -> str:
        """What publishing would do to the query: "better", "worse", "same", or "" where it is not known."""
        if self.live is None:
            return ""
        draft, live = self.draft or PLACES + 1, self.live or PLACES + 1
        return "better" if draft < live else "worse" if draft > live else "same"


@dataclass(frozen=True)
class Recall:
    """The share of queries whose service is first, and among the first five; of those with a service to find.

    `empty` is the share of the others whose answer is empty. None where there are no such queries.
    """

    queries: int
    out_of_scope: int
    at_1: float | None
    at_5: float | None
    empty: float | None


@dataclass
class Run:
    """A run of a test set.

    Attributes:
        id: in addresses.
        name: of the set.
        total, done: queries of both sides, and how many of them are answered.
        state: "running", "done", "cancelled" or "failed".
        problem: why the run failed, or why the live side is missing; a Korean sentence.
        revision: of the store, whose draft was tested.
        generation: that the live server answered from.
        judged: the results.
    """

    id: str
    name: str
    total: int
    done: int = 0
    state: str = "running"
    problem: str | None = None
    revision: int | None = None
    generation: int | None = None
    judged: list[Judged] = field(default_factory=list)
    seen: float = field(default_factory=time.monotonic)
    cancelled: Event = field(default_factory=Event)

    def recall(self, side: str) -> Recall | None:
        """The recall of "draft" or "live"; None where that side has no results."""
        places = [(one.labelled.id, one.draft if side == "draft" else one.live) for one in self.judged]
        known = [(id, place) for id, place in places if place is not None]
        if not known or len(known) < len(places):
            return None
        in_scope = [place for id, place in known if id is not None]
        empty = [place for id, place in known if id is None]
        return Recall(
            len(in_scope),
            len(empty),
            _share([place == 1 for place in in_scope]),
            _share([place >= 1 for place in in_scope]),
            _share([place == 1 for place in empty]),
        )

    def changed(self, change: str) -> list[Judged]:
        """The queries that get "better" or "worse"."""
        return [one for one in self.judged if one.change == change]


class TestRuns:
    """Runs of test sets, each in a thread; one that nobody looks at any more ends."""

    __test__ = False  # for pytest: no class of tests

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._runs: dict[str, Run] = {}
        self._lock = Lock()

    def start(self, name: str, queries: Sequence[Labelled]) -> Run:
        """Run a set; of runs that are under way only this one goes on."""
        run = Run(secrets.token_urlsafe(9), name, 2 * len(queries))
        with self._lock:
            for other in self._runs.values():
                other.cancelled.set()
            self._runs[run.id] = run
            while len(self._runs) > KEPT:
                del self._runs[next(iter(self._runs))]
        Thread(target=self._work, args=(run, list(queries)), name="test-set", daemon=True).start()
        return run

    def look(self, id: str) -> Run | None:
        """A run, which goes on as long as somebody looks."""
        run = self._runs.get(id)
        if run:
            run.seen = time.monotonic()
        return run

    def cancel(self, id: str) -> None:
        """End a run."""
        if run := self._runs.get(id):
            run.cancelled.set()

    def last(self, name: str) -> Run | None:
        """The last run of a set that came to its end."""
        done = [run for run in self._runs.values() if run.name == name and run.state == "done"]
        return done[-1] if done else None

    def _work(self, run: Run, queries: Sequence[Labelled]) -> None:
        try:
            self._run(run, queries)
        except DraftError as error:
            run.problem, run.state = str(error), "failed"
        except Exception as error:  # a run that failed must not look as if it went on
            run.problem, run.state = f"테스트를 하다가 문제가 생겼어요({type(error).__name__}).", "failed"
            raise

    def _run(self, run: Run, queries: Sequence[Labelled]) -> None:
        drafted = []
        for start in range(0, len(queries), PART):
            if self._ended(run):
                return
            part = queries[start : start + PART]
            built, ranked = self._draft.rank([one.query for one in part], top_k=PLACES)
            run.revision = built.revision
            names, ids = built.generation.names_padded, built.generation.ids_padded
            for one in ranked:
                hits = [(int(ids[at]), names[at].decode()) for at in one.services.tolist()]
                drafted.append(hits)
            run.done += len(part)
        live: list[list[tuple[int, str]] | None] = []
        for start in range(0, len(queries), PART):
            if self._ended(run):
                return
            part = queries[start : start + PART]
            live += self._live(run, part)
            run.done += len(part)
        run.judged = [
            Judged(one, _place(one, here), None if there is None else _place(one, there), _first(here), _first(there))
            for one, here, there in zip(queries, drafted, live, strict=True)
        ]
        run.state = "done"

    def _live(self, run: Run, part: Sequence[Labelled]) -> list[list[tuple[int, str]] | None]:
        """The hits of the live server; None for each query if it does not answer."""
        if run.problem:
            return [None] * len(part)
        try:
            results = self._draft.client.search_many([one.query for one in part], top_k=PLACES, timeout=10)
        except malgil.MalgilError as error:
            run.problem = f"지금 검색과는 견줄 수 없었어요. {sentence(error)}"
            return [None] * len(part)
        run.generation = results[-1].generation
        return [[(hit.id, hit.name) for hit in result] for result in results]

    def _ended(self, run: Run) -> bool:
        if run.cancelled.is_set() or time.monotonic() > run.seen + LEFT_SECONDS:
            run.state = "cancelled"
            return True
        return False


def _place(one: Labelled, hits: Sequence[tuple[int, str]]) -> int:
    if one.id is None:
        return int(not hits)
    return next((place for place, (id, _) in enumerate(hits, start=1) if id == one.id), 0)


def _first(hits: Sequence[tuple[int, str]] | None) -> str:
    return hits[0][1] if hits else ""


def _share(values: Sequence[bool]) -> float | None:
    return sum(values) / len(values) if values else None
