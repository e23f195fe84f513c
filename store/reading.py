"""Reading a store: what serves the catalog, its history, accounts and test sets."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Any, TypeVar, cast

from malgil_core.catalog.null_topic import NullTopic
from malgil_core.catalog.reading import Catalog
from malgil_core.catalog.service import Service
from sqlalchemy import ColumnElement, Connection, Row, func, null, select

from store import lines, schema
from store.database import Database
from store.errors import NotFoundError
from store.types import Account, Change, Snapshot, Stored, TestSet

R = TypeVar("R", bound="Reader")
SERVICE, NULL_TOPIC, CATALOG = "service", "null_topic", "catalog"
FEW = 500  # entries that are read by their keys; of more, all are read
_ACCOUNTS = select(
    schema.accounts.c.name, schema.accounts.c.role, schema.accounts.c.active, schema.accounts.c.created_at
).order_by(schema.accounts.c.name)


class Reader:
    """A store that is only read, which needs no right to write. Threads may share one."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._snapshot = Snapshot(0, (), ())

    @classmethod
    def open(cls: type[R], url: str) -> R:
        """The store at a URL: sqlite:///FILE or postgresql://USER:PASSWORD@HOST:PORT/NAME.

        Raises:
            StoreError: it is not there, not of this version, or cannot be reached.
        """
        return cls(Database(url, writable=False))

    def __enter__(self: R) -> R:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def __str__(self) -> str:
        return str(self._database.address)

    def close(self) -> None:
        """Close all connections."""
        self._database.close()

    def revision(self) -> int:
        """The number of the last change of a service or null topic; 0 of an empty store.

        Other entries of the history, logins say, do not count: the catalog is the same after them.
        """
        with self._database.reading() as connection:
            return _revision(connection)

    def snapshot(self) -> Snapshot:
        """The services and null topics of one moment, and its revision."""
        with self._database.reading() as connection:
            return self._read(connection)

    def catalog(self) -> Catalog:
        """The catalog, as if read from a file."""
        return self.snapshot().catalog

    def services(self) -> list[Stored[Service]]:
        """The services, in the order of the catalog."""
        return list(self.snapshot().services)

    def service(self, id: int) -> Stored[Service]:
        """The service of an id.

        Raises:
            NotFoundError: there is none.
        """
        found = next((entry for entry in self.snapshot().services if entry.value.id == id), None)
        if found is None:
            raise NotFoundError(f"there is no service {id}")
        return found

    def had_service(self, id: int) -> bool:
        """Whether there is, or was, a service of an id."""
        return self._had(schema.entries.c.id == id)

    def had_null_topic(self, key: int) -> bool:
        """Whether there is, or was, a null topic of a key."""
        return self._had((schema.entries.c.key == key) & (schema.entries.c.kind == NULL_TOPIC))

    def next_id(self) -> int:
        """An id that no service has or had."""
        with self._database.reading() as connection:
            highest: int | None = connection.scalar(select(func.max(schema.entries.c.id)))
        return 1 if highest is None else highest + 1

    def null_topics(self) -> list[Stored[NullTopic]]:
        """The null topics, in the order of the catalog."""
        return list(self.snapshot().null_topics)

    def null_topic(self, key: int) -> Stored[NullTopic]:
        """The null topic of a key.

        Raises:
            NotFoundError: there is none.
        """
        found = next((entry for entry in self.snapshot().null_topics if entry.key == key), None)
        if found is None:
            raise NotFoundError(f"there is no null topic with the key {key}")
        return found

    def dump(self) -> bytes:
        """The catalog as JSON Lines: the bytes that were imported, but for lines that have another value now."""
        with self._database.reading() as connection:
            return dump(connection)

    def history(
        self,
        kind: str | None = None,
        key: int | None = None,
        before: int | None = None,
        limit: int = 100,
        actions: Sequence[str] = (),
        lines: bool = True,
    ) -> list[Change]:
        """Changes, newest first.

        Args:
            kind: of the entry, None for any.
            key: of the entry, None for any.
            before: a number that all are below, to turn the page.
            limit: how many at most.
            actions: of which each is one; none for any.
            lines: whether `before` and `after` are read, which take most of the time; else they are None.
        """
        table = schema.history
        columns = [column if lines or column.name not in ("before", "after") else null().label(column.name)
                   for column in table.c]  # fmt: skip
        query = select(*columns).order_by(table.c.number.desc()).limit(limit)
        for column, value in ((table.c.kind, kind), (table.c.key, key)):
            if value is not None:
                query = query.where(column == value)
        if before is not None:
            query = query.where(table.c.number < before)
        if actions:
            query = query.where(table.c.action.in_(actions))
        with self._database.reading() as connection:
            return [Change(**row._mapping) for row in connection.execute(query)]

    def changed_after(self, revision: int) -> set[int]:
        """The keys of the services and null topics that were changed after a revision."""
        table = schema.history
        query = select(table.c.key).distinct().where(table.c.number > revision, table.c.key.is_not(None))
        with self._database.reading() as connection:
            return set(connection.scalars(query))

    def accounts(self) -> list[Account]:
        """The accounts, by name."""
        with self._database.reading() as connection:
            return [Account(**row._mapping) for row in connection.execute(_ACCOUNTS)]

    def account(self, name: str) -> Account:
        """The account of a name.

        Raises:
            NotFoundError: there is none.
        """
        with self._database.reading() as connection:
            row = connection.execute(_ACCOUNTS.where(schema.accounts.c.name == name)).one_or_none()
        if row is None:
            raise NotFoundError("there is no such account")
        return Account(**row._mapping)

    def password_hash(self, name: str) -> str | None:
        """What was stored of an account's password; None if it has none, or there is no such account."""
        query = select(schema.accounts.c.password_hash).where(schema.accounts.c.name == name)
        with self._database.reading() as connection:
            return cast("str | None", connection.scalar(query))

    def test_sets(self) -> list[TestSet]:
        """The test sets, by name."""
        with self._database.reading() as connection:
            rows = connection.execute(select(schema.test_sets).order_by(schema.test_sets.c.name))
            return [TestSet(**row._mapping) for row in rows]

    def test_set_names(self) -> list[str]:
        """The names of the test sets, in order."""
        with self._database.reading() as connection:
            return list(connection.scalars(select(schema.test_sets.c.name).order_by(schema.test_sets.c.name)))

    def test_set(self, name: str) -> TestSet:
        """The test set of a name.

        Raises:
            NotFoundError: there is none.
        """
        query = select(schema.test_sets).where(schema.test_sets.c.name == name)
        with self._database.reading() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            raise NotFoundError("there is no such test set")
        return TestSet(**row._mapping)

    def _had(self, condition: ColumnElement[bool]) -> bool:
        with self._database.reading() as connection:
            return connection.execute(select(schema.entries.c.key).where(condition)).first() is not None

    def _read(self, connection: Connection) -> Snapshot:
        """The snapshot of a transaction. Entries that have not changed since the last one are not read again."""
        known = self._snapshot  # of a transaction that was committed, as all that are read
        revision = _revision(connection)
        if revision != known.revision:
            entries: dict[int, Stored[Any]] = {entry.key: entry for entry in known.services}
            entries |= {entry.key: entry for entry in known.null_topics}
            query, table = live(), schema.entries
            order = connection.execute(query.with_only_columns(table.c.key, table.c.kind, table.c.version)).all()
            new = [key for key, _, version in order if key not in entries or entries[key].version != version]
            if len(new) <= FEW:
                query = query.where(table.c.key.in_(new))
            entries |= {row.key: stored(row) for row in connection.execute(query)}
            found: dict[str, list[Stored[Any]]] = {SERVICE: [], NULL_TOPIC: []}
            for key, kind, _ in order:
                found[kind].append(entries[key])
            known = self._snapshot = Snapshot(revision, tuple(found[SERVICE]), tuple(found[NULL_TOPIC]))
        return known


def live() -> Any:
    """The query of all entries that are not deleted, in order."""
    table = schema.entries
    return select(table).where(table.c.value.is_not(None)).order_by(table.c.position, table.c.key)


def stored(row: Row[Any]) -> Stored[Any]:
    """The entry of a row."""
    return Stored(row.key, lines.value_of(row.value), row.version, row.changed_at, row.changed_by)


def dump(connection: Connection) -> bytes:
    """The catalog as JSON Lines, in a transaction."""
    of_file = connection.execute(select(schema.catalog)).one()
    texts = [(bytes(row.lead), bytes(row.line)) for row in connection.execute(live())]
    return lines.join(bytes(of_file.head), texts, bytes(of_file.tail))


def _revision(connection: Connection) -> int:
    revision: int = connection.execute(select(schema.catalog.c.revision)).scalar_one()
    return revision
