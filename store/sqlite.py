"""Connections to a file of SQLite: to write, and to read without any right to write."""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import Connection, Engine, NullPool, QueuePool, create_engine, event
from sqlalchemy.pool import ConnectionPoolEntry

from store.errors import StoreError

MODE = 0o640  # of a new file: it holds hashes of passwords


def engine(file: Path, writable: bool, wait_seconds: float) -> Engine:
    """An engine for a file, which is made if it is to be written.

    Raises:
        StoreError: it is not there, cannot be made, or is no database; one sentence.
    """
    if writable:
        _make(file, wait_seconds)
    elif not file.is_file():
        raise StoreError(f"sqlite:///{file}: there is no such file")

    def connect() -> sqlite3.Connection:
        return _connect(file, "mode=rw", wait_seconds) if writable else _read_only(file, wait_seconds)

    # A reader takes a new connection each time: one to an immutable file never sees what was written since.
    made = create_engine("sqlite://", creator=connect, poolclass=QueuePool if writable else NullPool,
                         hide_parameters=True)  # fmt: skip

    @event.listens_for(made, "connect")
    def _opened(connection: sqlite3.Connection, entry: ConnectionPoolEntry) -> None:
        if isinstance(connection, _Immutable):
            entry.info["immutable"] = file, connection.state

    return made


def check_unchanged(connection: Connection) -> None:
    """Check that nobody wrote to a file while it was read without locks.

    Raises:
        StoreError: somebody did.
    """
    if found := connection.info.get("immutable"):
        file, state = found
        if state != _state(file):
            raise StoreError(f"sqlite:///{file} was written to while it was read: try again")


class _Immutable(sqlite3.Connection):
    """A connection that takes no locks: for a file that nobody has open, in a folder where no lock can be made."""

    state: tuple[int, int] = (0, 0)


def _connect(file: Path, options: str, wait_seconds: float, kind: type[sqlite3.Connection] = sqlite3.Connection) -> (
    sqlite3.Connection
):  # fmt: skip
    # SQLAlchemy begins transactions by itself (see store.database); its pool hands connections from thread to thread.
    connection = sqlite3.connect(
        f"file:{quote(str(file.absolute()))}?{options}",
        uri=True, timeout=wait_seconds, isolation_level=None, check_same_thread=False, factory=kind,
    )  # fmt: skip
    if options == "mode=rw":
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA synchronous = FULL")  # what was committed survives a power cut, with a WAL too
    return connection


def _read_only(file: Path, wait_seconds: float) -> sqlite3.Connection:
    connection = _connect(file, "mode=ro", wait_seconds)
    try:
        connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchall()
    except sqlite3.OperationalError:
        connection.close()
        if file.with_name(file.name + "-wal").exists():
            raise  # somebody has it open
        state = _state(file)
        connection = _connect(file, "mode=ro&immutable=1", wait_seconds, _Immutable)
        assert isinstance(connection, _Immutable)
        connection.state = state
    return connection


def _state(file: Path) -> tuple[int, int]:
    found = file.stat()
    return found.st_mtime_ns, found.st_size


def _make(file: Path, wait_seconds: float) -> None:
    try:
        file.parent.mkdir(exist_ok=True)
        os.close(os.open(file, os.O_RDWR | os.O_CREAT, MODE))
    except OSError as error:
        raise StoreError(f"sqlite:///{file} cannot be opened: {error.strerror}") from None
    until = time.monotonic() + wait_seconds
    while True:
        try:
            connection = _connect(file, "mode=rw", wait_seconds)
            try:
                # It stays so. SQLite does not wait for others here, so that asking again is up to us.
                connection.execute("PRAGMA journal_mode = WAL").fetchall()
            finally:
                connection.close()
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > until:
                raise StoreError(f"sqlite:///{file} cannot be opened: {error}") from None
            time.sleep(0.05)
        except sqlite3.DatabaseError as error:
            raise StoreError(f"sqlite:///{file} cannot be opened: {error}") from None
