"""The events of a folder as tables of DuckDB."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
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
PART_BYTES = 32 * 2**20  # of lines that are unpacked at a time
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
def opened(folder: Path, window: Window, going: Callable[[], bool] = lambda: True) -> Iterator[Log]:
    """The events of a folder, in tables that are gone afterwards.

    Segments that a server writes are read as far as they go.

    Args:
        folder: of the log.
        window: which events are read.
        going: asked while the log is read, whether to go on.

    Raises:
        FeedbackError: there is no such folder, or no event in it, or it was not to go on.
    """
    if not folder.is_dir():
        raise FeedbackError(f"{folder} is not there: `python -m server --events FOLDER` writes events")
    with tempfile.TemporaryDirectory(prefix="malgil-feedback-") as name:
        work = Path(name)  # for this user alone: queries are in it
        settings: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": MEMORY, "threads": THREADS, "temp_directory": str(work / "spilled")
        }  # fmt: skip
        with duckdb.connect(str(work / "events.duckdb"), config=settings) as connection:
            log = _loaded(connection, folder, work / "part.jsonl", window, going)
            if not log.read:
                where = "" if not log.outside else f" of this time, and {log.outside:,} of another"
                raise FeedbackError(f"{folder} has no events{where}: apps send them (`malgil.Feedback`)")
            yield log


def _loaded(
    connection: duckdb.DuckDBPyConnection, folder: Path, part: Path, window: Window, going: Callable[[], bool]
) -> Log:
    """The tables of a folder's events; its lines are taken from a file, a part after the other."""
    first, last = window.bounds
    damage, lines, inside, outside = reading.Damage(), 0, 0, 0
    for number in _parts(reading.lines(folder, damage), part):
        connection.execute(tables.PART, {"file": str(part)})
        part.unlink()
        if not going():
            raise FeedbackError(f"{folder}: the reading was stopped")
        if not lines:
            connection.execute(tables.FIRST_PART)
        lines += number
        ((taken,),) = connection.execute(tables.TAKE_PART, {"first": first, "last": last}).fetchall()
        ((found,),) = connection.execute("SELECT count(*) FROM part").fetchall()
        inside, outside = inside + taken, outside + found - taken
    connection.execute("SET enable_external_access = false")  # nothing but this database is touched from here on
    connection.create_function("fold", fold, [sqltypes.VARCHAR], sqltypes.VARCHAR)
    for statement in tables.DERIVED if lines else ():
        connection.execute(statement)
    return Log(connection, inside, lines - inside - outside + damage.segments, outside)


def _parts(lines: Iterator[bytes], file: Path) -> Iterator[int]:
    """Write lines into a file, PART_BYTES at a time; the number of lines in it, each time that it is full."""
    lines = iter(lines)
    while True:
        size = count = 0
        with file.open("wb") as stream:
            for line in lines:
                stream.write(line + b"\n")
                size, count = size + len(line), count + 1
                if size >= PART_BYTES:
                    break
        if not count:
            file.unlink()
            return
        yield count


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
