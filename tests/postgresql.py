"""A PostgreSQL server in a temporary folder, for the tests of databases."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy

from export import ROOT
from server.ports import free_ports

PASSWORD = "s3cret/p@ss"  # of the server's only user: no text may show it
ENCODED = "s3cret%2Fp%40ss"  # in a URL
FOLDERS = ("/usr/lib/postgresql", str(ROOT / ".venv/postgresql/usr/lib/postgresql"))
SETTINGS = {"fsync": "off", "max_connections": "40", "shared_buffers": "16MB"}  # processes are killed, not machines


def programs() -> Path | None:
    """The folder of initdb and pg_ctl, None if there is no PostgreSQL; `make test` installs it where it can."""
    found = sorted(path.parent for folder in FOLDERS for path in Path(folder).glob("*/bin/initdb"))
    return found[-1] if found else None


class Postgresql:
    """A running server, with a user `malgil` whose password is PASSWORD.

    Attributes:
        port: on 127.0.0.1.
    """

    def __init__(self, folder: Path, bin: Path, user: str | None) -> None:
        self.port = free_ports().http
        self._data, self._bin, self._user = folder / "data", bin, user
        password = folder / "password"
        password.write_text(PASSWORD)
        if user is not None:
            shutil.chown(folder, user)
            shutil.chown(password, user)
        self._run("initdb", "--username=malgil", f"--pwfile={password}", "--auth=scram-sha-256", "--no-locale",
                  "--encoding=UTF8", "--no-sync")  # fmt: skip
        options = {**SETTINGS, "port": str(self.port), "listen_addresses": "127.0.0.1",
                   "unix_socket_directories": str(folder)}  # fmt: skip
        lines = [f"{name} = '{value}'\n" for name, value in options.items()]
        with (self._data / "postgresql.conf").open("a") as file:
            file.writelines(lines)
        self.start()

    def start(self) -> None:
        """Start the server."""
        self._run("pg_ctl", "start", "--wait", f"--log={self._data}/log")

    def stop(self) -> None:
        """Stop the server; open connections are cut."""
        self._run("pg_ctl", "stop", "--wait", "--mode=immediate")

    def url(self, name: str) -> str:
        """The URL of a database."""
        return f"postgresql://malgil:{ENCODED}@127.0.0.1:{self.port}/{name}"

    def new(self) -> str:
        """The URL of a new schema, which is as good as a database, and made faster."""
        name = f"test_{secrets.token_hex(6)}"
        self.execute("postgres", f"CREATE SCHEMA {name}")
        return f"{self.url('postgres')}?options=-csearch_path%3D{name}"

    def execute(self, database: str, *statements: str) -> None:
        """Execute statements, each for itself."""
        url = sqlalchemy.make_url(self.url(database)).set(drivername="postgresql+psycopg")
        engine = sqlalchemy.create_engine(url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)
        engine.dispose()

    def _run(self, program: str, *words: str) -> None:
        # To a file: the server keeps what it is given as stdout.
        with tempfile.TemporaryFile() as output:
            ended = subprocess.run(
                [self._bin / program, "-D", self._data, *words], user=self._user, cwd="/", check=False,
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            )  # fmt: skip
            output.seek(0)
            assert ended.returncode == 0, output.read().decode(errors="replace")


@contextmanager
def running() -> Iterator[Postgresql]:
    """A server for as long as the context lasts."""
    bin = programs()
    assert bin
    with tempfile.TemporaryDirectory(prefix="malgil-postgresql-") as name:  # pytest's own folders are for one user
        server = Postgresql(Path(name), bin, _user())
        try:
            yield server
        finally:
            server.stop()


def _user() -> str | None:
    """Who runs the server; None is the user of the tests. PostgreSQL does not run as root."""
    if os.getuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"
