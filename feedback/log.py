"""The events of a folder as tables of DuckDB."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
from duckdb import sqltypes
from malgil_core.events import reading
from malgil_core.text.keystrokes import words

from feedback import tables
from feedback.errors import FeedbackError

MEMORY, THREADS = "512MiB", 2  # of DuckDB; what does not fit goes to the temporary folder
DAY_MS = 86_400_000
Row = dict[str, Any]


@dataclass(frozen=True)
class Window:
    """Which events are read, by the client's clock.

    Attributes:
        since: days before now; None takes all.
        now_ms: milliseconds since 1970, UTC.
    """

    since: int | None
    now_ms: int

    @classmethod
    def last(cls, days: int | None) -> Window:
        """The last days."""
        return cls(days, time.time_ns() // 1_000_000)

    @property
    def bounds(self) -> tuple[int, int]:
        """The first and the last millisecond; a day of a client's clock that goes ahead is let pass."""
        first = 0 if self.since is None else self.now_ms - self.since * DAY_MS
        return first, self.now_ms + DAY_MS


@dataclass(frozen=True)
class Log:
    """The events of a folder; feedback/tables.py describes the tables.

    Attributes:
        connection: to the database, which ends with the context of `opened`.
        read: events that were read.
        damaged: lines and ends of segments that could not be read.
        outside: events of another time than was asked for, or of a client whose clock is wrong.
    """

    connection: duckdb.DuckDBPyConnection
    read: int
    damaged: int
    outside: int

    def rows(self, query: str, **values: Any) -> list[Row]:
        """The rows of a query. What varies comes in as values: `$name` in the query."""
        found = self.connection.execute(query, values or None)
        names = [column[0] for column in found.description or ()]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]

    def one(self, query: str, **values: Any) -> Row:
        """The first row of a query that has one."""
        return self.rows(query, **values)[0]

    @property
    def has_queries(self) -> bool:
        """Whether any search has its text."""
        return bool(self.one("SELECT count(query) > 0 AS found FROM search")["found"])


@contextmanager
def opened(folder: Path, window: Window) -> Iterator[Log]:
    """The events of a folder, in tables that are gone afterwards.

    Segments that a server writes are read as far as they go.

    Raises:
        FeedbackError: there is no such folder, or no event in it.
    """
    if not folder.is_dir():
        raise FeedbackError(f"{folder} is not there: `python -m server --events FOLDER` writes events")
    with tempfile.TemporaryDirectory(prefix="malgil-feedback-") as name:
        work = Path(name)  # for this user alone: queries are in it
        lines = work / "events.jsonl"
        count, cut = _copied(folder, lines)
        settings = {"memory_limit": MEMORY, "threads": THREADS, "temp_directory": str(work / "spilled")}
        with duckdb.connect(str(work / "events.duckdb"), config=settings) as connection:
            log = _loaded(connection, lines, window, count, cut)
            if not log.read:
                where = "" if not log.outside else f" of this time, and {log.outside:,} of another"
                raise FeedbackError(f"{folder} has no events{where}: apps send them (`malgil.Feedback`)")
            yield log


def _copied(folder: Path, target: Path) -> tuple[int, int]:
    """Copy the lines of all segments into a file; how many, and how many segments have a damaged end."""
    damage, count = reading.Damage(), 0
    with target.open("wb") as stream:
        for line in reading.lines(folder, damage):
            stream.write(line + b"\n")
            count += 1
    return count, damage.segments


def _loaded(connection: duckdb.DuckDBPyConnection, lines: Path, window: Window, count: int, cut: int) -> Log:
    """The tables of a file with so many lines, of segments of which so many are cut."""
    first, last = window.bounds
    connection.execute(tables.EVENT, {"file": str(lines), "first": first, "last": last})
    lines.unlink()
    connection.create_function("fold", fold, [sqltypes.VARCHAR], sqltypes.VARCHAR)
    for statement in tables.DERIVED:
        connection.execute(statement)
    ((read, outside),) = connection.execute("SELECT count_if(inside), count_if(NOT inside) FROM event").fetchall()
    return Log(connection, int(read), count - int(read) - int(outside) + cut, int(outside))


def fold(query: str) -> str:
    """What queries are counted by: lower case, one Unicode form, words with one blank between them."""
    return " ".join(words(query))


def need_queries(log: Log, folder: Path) -> None:
    """Refuse a log without queries.

    Raises:
        FeedbackError: no search has its text.
    """
    if not log.has_queries:
        raise FeedbackError(f"{folder} has no queries: `python -m server --log-queries` keeps their text")
