"""A database: its connections, and transactions that read one state or write alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError

from store import address, migrations, sqlite
from store.errors import StoreError

WAIT_SECONDS = 30  # for another writer
CONNECT_SECONDS = 10  # for a server, unless the URL says otherwise
LOCK = 0x6D616C67696C  # "malgil": PostgreSQL's lock of writers, which differs from those of other programs


class Database:
    """A database with tables of the version that this code knows.

    Args:
        url: see store.address.
        writable: whether it is made and upgraded where needed, and can be written; else it is only read.

    Raises:
        StoreError: it cannot be used; one sentence.
    """

    def __init__(self, url: str, writable: bool) -> None:
        self.address = address.parse(url)
        if self.address.file is None:
            self.engine = self._postgresql()
        else:
            self.engine = sqlite.engine(self.address.file, writable, WAIT_SECONDS)
        event.listen(self.engine, "begin", _begin)
        try:
            self._prepare(writable)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that sees one state of the database."""
        options = {} if self.address.file else {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        with self._sentences(), self.engine.connect() as connection:
            with connection.execution_options(**options).begin():
                yield connection
            sqlite.check_unchanged(connection)

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction beside which nobody else writes; on disk once the context is left, undone by an exception."""
        options = {"writing": True}
        with self._sentences(), self.engine.connect() as connection, connection.execution_options(**options).begin():
            if self.address.file is None:
                connection.execute(text(f"SET LOCAL lock_timeout = '{WAIT_SECONDS}s'"))
                connection.execute(text("SET LOCAL synchronous_commit = on"))
                connection.execute(text(f"SELECT pg_advisory_xact_lock({LOCK})"))
            yield connection

    def _postgresql(self) -> Engine:
        try:
            return create_engine(
                self.address.url,
                pool_pre_ping=True,  # a server that was restarted
                hide_parameters=True,
                connect_args={}
                if "connect_timeout" in self.address.url.query
                else {"connect_timeout": CONNECT_SECONDS},
            )
        except ImportError:
            raise StoreError(f"{self.address} needs the package psycopg: `pip install 'psycopg[binary]'`") from None

    def _prepare(self, writable: bool) -> None:
        with self.reading() as connection:
            version = migrations.version_of(connection)
        if version == migrations.HEAD:
            return
        if version is not None and version > migrations.HEAD:
            raise StoreError(
                f"{self.address} was written by a newer version of this project: its tables are {version}, "
                f"and {migrations.HEAD} is the newest that this one knows"
            )
        if not writable:
            what = "holds no catalog" if version is None else f"has tables of an older version, {version}"
            raise StoreError(f"{self.address} {what}: `python -m console import FILE` with it makes or upgrades them")
        with self.writing() as connection:
            if migrations.version_of(connection) != migrations.HEAD:  # another process may have been first
                migrations.upgrade(connection)

    @contextmanager
    def _sentences(self) -> Iterator[None]:
        try:
            yield
        except (IntegrityError, DataError):
            raise  # a fault of this code
        except DBAPIError as error:
            raise StoreError(self._sentence(error)) from None

    def _sentence(self, error: DBAPIError) -> str:
        said = self.address.without_secrets(str(error.orig))
        if "database is locked" in said or "lock timeout" in said:
            return f"{self.address}: another process has been writing for {WAIT_SECONDS} s: try again"
        return f"{self.address} cannot be used: {said}"


def _begin(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        writing = connection.get_execution_options().get("writing")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")
