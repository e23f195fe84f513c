"""What the log of searches says, read in the background and kept for a minute."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any

from feedback.bounds import PEOPLE, Bounds
from feedback.errors import FeedbackError

KEPT_SECONDS = 60.0
WAIT_SECONDS = 8.0  # for the first reading; after that the page says that it goes on
LISTED = 50  # queries of a kind
KINDS = ("empty", "refused", "unchosen", "asked")
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Choice:
    """A query that most people choose one service for."""

    query: str
    people: int
    id: int


@dataclass(frozen=True)
class Found:
    """What was read.

    Attributes:
        state: "read", "empty" (no log, or nobody searched), "reading" or "failed".
        total: the rates of all searches.
        by_day: the same by day, oldest first.
        queries: by what came of them; None where no query was logged.
        chosen: queries that one service is chosen for, most people first.
    """

    state: str
    total: dict[str, Any] = field(default_factory=dict)
    by_day: list[dict[str, Any]] = field(default_factory=list)
    queries: dict[str, list[dict[str, Any]]] | None = None
    chosen: list[Choice] = field(default_factory=list)


class SearchData:
    """The log in a folder.

    Args:
        folder: of the segments; it may not be there.
        people: who must have typed a query for it to be shown.
    """

    def __init__(self, folder: Path, people: int = PEOPLE) -> None:
        self.folder, self.people = folder, people
        self._lock = Lock()
        self._kept: dict[int, tuple[float, Found]] = {}
        self._running: dict[int, Event] = {}
        self._stopped = Event()

    def of(self, days: int, wait: float = WAIT_SECONDS) -> Found:
        """What the last days say. Blocks while it is read for the first time, for so many seconds at most."""
        with self._lock:
            at, found = self._kept.get(days, (float("-inf"), Found("reading")))
            if time.monotonic() - at < KEPT_SECONDS:
                return found
            ended = self._running.get(days)
            if ended is None:
                ended = self._running[days] = Event()
                # Not a daemon: a thread that ends within DuckDB ends the process.
                Thread(target=self._read, args=(days, ended), name="search-data").start()
        if found.state == "reading" and ended.wait(wait):
            with self._lock:
                return self._kept[days][1]
        return found

    def stop(self) -> None:
        """Read no further; what is being read ends soon."""
        self._stopped.set()

    def _read(self, days: int, ended: Event) -> None:
        try:
            found = self._found(days)
        except FeedbackError:
            found = Found("empty")
        except Exception:  # the page must say so, and not wait for ever
            log.exception("the log of searches cannot be read")
            found = Found("failed")
        with self._lock:
            self._kept[days] = (time.monotonic(), found)
            del self._running[days]
        ended.set()

    def _going(self) -> bool:
        return not self._stopped.is_set()

    def _found(self, days: int) -> Found:
        from feedback import choices, propensity, report
        from feedback import log as logs

        with logs.opened(self.folder, logs.Window.last(days), self._going) as opened:
            made = report.make(opened, "day", self.people, LISTED)
            if not made.total["searches"]:
                return Found("empty")
            counted = choices.count(opened, propensity.estimate(opened), Bounds(people=self.people))
        chosen = [Choice(one.query, one.people, one.id) for one in counted.found]
        queries = None if made.queries is None else {kind: made.queries[kind] for kind in KINDS}  # type: ignore[index]
        return Found("read", made.total, made.by_time, queries, chosen)
