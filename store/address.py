"""The address of a database: a URL, which may hold a password that no text shows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from store.errors import StoreError

FORMS = "sqlite:///FILE or postgresql://USER:PASSWORD@HOST:PORT/NAME"
POSTGRESQL = ("postgresql", "postgres", "postgresql+psycopg")


@dataclass(frozen=True)
class Address:
    """A database's address.

    Attributes:
        url: for SQLAlchemy.
        file: of SQLite, None for PostgreSQL.
    """

    url: URL
    file: Path | None

    def __str__(self) -> str:
        if self.file is not None:
            return f"sqlite:///{self.file}"
        plain = self.url.set(drivername="postgresql", query={})  # a query may hold a password, too
        return plain.render_as_string(hide_password=True)

    def without_secrets(self, text: str) -> str:
        """A driver's text, as one line, without the passwords of the URL."""
        for secret in (self.url.password, self.url.query.get("password")):
            if isinstance(secret, str) and secret:
                text = text.replace(secret, "***")
        return " ".join(text.split())


def parse(url: str) -> Address:
    """The address of a URL.

    Raises:
        StoreError: it is none that is known here; the text does not repeat it, since it may hold a password.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise StoreError(f"the database's URL cannot be read: it must be {FORMS}") from None
    if parsed.drivername in POSTGRESQL:
        return Address(parsed.set(drivername="postgresql+psycopg"), None)
    if parsed.drivername != "sqlite":
        raise StoreError(f"the database's URL begins with {parsed.drivername[:40]}: it must be {FORMS}")
    if not parsed.database or parsed.database == ":memory:" or parsed.host or parsed.query:
        raise StoreError(f"the database's URL names no file: it must be {FORMS}")
    return Address(parsed, Path(parsed.database))
