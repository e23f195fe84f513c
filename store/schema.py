"""The tables of a store, as of the newest migration."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
)  # fmt: skip
from sqlalchemy.types import TypeDecorator


class Json(TypeDecorator[Any]):
    """A JSON value as text: PostgreSQL's texts hold no NUL, which texts of a catalog may."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        """The column's text."""
        return None if value is None else json.dumps(value, ensure_ascii=False)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        """The value."""
        return None if value is None else json.loads(value)


class Moment(TypeDecorator[datetime]):
    """A time in UTC. SQLite has no time zones."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """The column's value."""
        return value and value.astimezone(timezone.utc)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """The time, with its time zone."""
        if value is None or value.tzinfo:
            return value and value.astimezone(timezone.utc)
        return value.replace(tzinfo=timezone.utc)


metadata = MetaData()

# Services and null topics, in the order of the catalog. Those that were deleted stay, without a value: their keys and
# versions go on when they are restored.
entries = Table(
    "entries",
    metadata,
    Column("key", BigInteger, primary_key=True, autoincrement=False),  # one above the highest: no row ever goes
    Column("kind", Text, nullable=False),  # "service" or "null_topic"
    Column("id", BigInteger),  # of a service
    Column("name", Json, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("value", Json),  # the line; None if the entry was deleted
    Column("source", LargeBinary),  # the line as it was imported
    Column("line", LargeBinary),  # the line in a file: the source as long as the value is that of the source
    Column("lead", LargeBinary, nullable=False),  # blank lines before it
    Column("version", Integer, nullable=False),
    Column("changed_at", Moment, nullable=False),
    Column("changed_by", Json, nullable=False),
)
Index("entries_id", entries.c.id)
Index("entries_position", entries.c.position)
Index("entries_once", entries.c.id, unique=True, sqlite_where=entries.c.value.is_not(None),
      postgresql_where=entries.c.value.is_not(None))  # fmt: skip

# One row: what belongs to the whole catalog.
catalog = Table(
    "catalog",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("revision", BigInteger, nullable=False),  # number of the last change of an entry
    Column("head", LargeBinary, nullable=False),  # of the file: a byte order mark
    Column("tail", LargeBinary, nullable=False),  # what follows the last line's text
)

# Triggers refuse to change or delete its rows.
history = Table(
    "history",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("at", Moment, nullable=False),
    Column("by", Json, nullable=False),
    Column("action", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("key", BigInteger, ForeignKey("entries.key")),
    Column("name", Json, nullable=False),
    Column("before", Json),
    Column("after", Json),
    Column("note", Json, nullable=False),
    Column("version", Integer),
)
Index("history_entry", history.c.kind, history.c.key, history.c.number)

accounts = Table(
    "accounts",
    metadata,
    Column("name", Text, primary_key=True),
    Column("role", Text, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("password_hash", Text),
)

test_sets = Table(
    "test_sets",
    metadata,
    Column("name", Text, primary_key=True),
    Column("content", LargeBinary, nullable=False),
    Column("changed_at", Moment, nullable=False),
    Column("changed_by", Json, nullable=False),
)
