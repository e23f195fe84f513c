"""The store: the catalog in a database, SQLite or PostgreSQL."""

from __future__ import annotations

from typing import TypeVar

from store.accounts import Accounts, TestSets
from store.database import Database
from store.entries import Entries
from store.importing import Importing

S = TypeVar("S", bound="Store")


class Store(Entries, Importing, Accounts, TestSets):
    """A catalog in a database, which is read and written. Threads and processes may write at the same time.

    Every change is one transaction, with an entry in the history; it is on disk when the call returns.
    """

    @classmethod
    def open(cls: type[S], url: str) -> S:
        """The store at a URL, made or upgraded where that is needed.

        Args:
            url: sqlite:///FILE or postgresql://USER:PASSWORD@HOST:PORT/NAME; a relative FILE is one of the present
                folder.

        Raises:
            StoreError: it cannot be used or reached, or is of a newer version.
        """
        return cls(Database(url, writable=True))
