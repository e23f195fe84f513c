"""Writing a store: transactions that leave an entry in the history for all that they change."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, select, update

from store import schema
from store.errors import StoreError
from store.reading import CATALOG, Reader
from store.types import Line, Snapshot

MAX_NAME_BYTES = 200  # of whoever changes something, of accounts and test sets
MAX_NOTE_BYTES = 2000


@dataclass
class Writer:
    """A transaction that writes.

    Attributes:
        connection: of the transaction, beside which nobody writes.
        by: who writes.
        at: when.
        snapshot: the catalog before.
        rows: the history's new rows.
    """

    connection: Connection
    by: str
    at: datetime
    snapshot: Snapshot
    rows: list[dict[str, Any]] = field(default_factory=list)
    in_catalog: bool = False

    def record(
        self, action: str, kind: str, name: str, *, key: int | None = None, before: Line | None = None,
        after: Line | None = None, note: str = "", version: int | None = None,
    ) -> None:  # fmt: skip
        """Add an entry to the history."""
        values = {"action": action, "kind": kind, "key": key, "name": name, "before": before, "after": after}
        self.rows.append({"at": self.at, "by": self.by, **values, "note": note, "version": version})
        self.in_catalog = self.in_catalog or key is not None or (kind == CATALOG and action == "import")

    def next_key(self) -> int:
        """A key that no entry has or had."""
        highest: int | None = self.connection.scalar(select(func.max(schema.entries.c.key)))
        return (highest or 0) + 1

    def next_position(self) -> int:
        """The position behind all entries."""
        highest: int | None = self.connection.scalar(select(func.max(schema.entries.c.position)))
        return 0 if highest is None else highest + 1

    def update(self, rows: list[dict[str, Any]]) -> None:
        """Change entries: each row has `key_` and the same columns as the others."""
        if rows:
            columns: dict[str, Any] = {name: bindparam(name) for name in rows[0] if name != "key_"}
            statement = update(schema.entries).where(schema.entries.c.key == bindparam("key_")).values(**columns)
            self.connection.execute(statement, rows)

    def finish(self) -> None:
        """Write the history."""
        if not self.rows:
            return
        last: int | None = self.connection.scalar(select(func.max(schema.history.c.number)))
        for number, row in enumerate(self.rows, start=(last or 0) + 1):
            row["number"] = number
        self.connection.execute(insert(schema.history), self.rows)
        if self.in_catalog:
            self.connection.execute(update(schema.catalog).values(revision=self.rows[-1]["number"]))


class Writable(Reader):
    """A store that can be written."""

    @contextmanager
    def _writing(self, by: str) -> Iterator[Writer]:
        check_text("by", by, MAX_NAME_BYTES)
        with self._database.writing() as connection:
            # The time is taken behind the lock, so that the history's times ascend as its numbers do.
            writer = Writer(connection, by, datetime.now(timezone.utc), self._read(connection))
            yield writer
            writer.finish()

    def record(self, action: str, kind: str, name: str, *, by: str, note: str = "") -> None:
        """Add an entry to the history that changes nothing: a login, a publish, a rollback, an export."""
        for field_, text in (("action", action), ("kind", kind), ("name", name)):
            check_text(field_, text, MAX_NAME_BYTES)
        with self._writing(by) as writer:
            writer.record(action, kind, name, note=checked_note(note))


def check_text(name: str, text: str, most: int) -> None:
    """Check a short text.

    Raises:
        StoreError: it is empty, too long, or cannot be stored.
    """
    size = len(text.encode("utf-8", "replace"))
    if not text.strip() or size > most:
        raise StoreError(f"{name} is {size} bytes long: it must be 1 to {most}, not all blank")
    if not text.isprintable():
        raise StoreError(f"{name} is {ascii(text)[:60]}: it must have printable characters alone")


def checked_note(note: str) -> str:
    """A note that can be stored.

    Raises:
        StoreError: it is too long, or holds half a surrogate pair.
    """
    try:
        size = len(note.encode("utf-8"))
    except UnicodeEncodeError:
        raise StoreError("note holds half a surrogate pair") from None
    if size > MAX_NOTE_BYTES:
        raise StoreError(f"note is {size} bytes long: it must be at most {MAX_NOTE_BYTES}")
    return note
