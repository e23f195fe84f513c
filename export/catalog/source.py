"""Where a catalog comes from: a file, a database, or a caller that has one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from malgil_core.catalog import reading
from malgil_core.catalog.reading import Catalog

from export.errors import ExportError


class Source(Protocol):
    """What a catalog is read from; its text is its name, for messages."""

    def read(self) -> Catalog:
        """The catalog as it is now.

        Raises:
            CatalogError: it holds mistakes.
            ExportError: the database cannot be read.
            OSError: the file cannot be read.
        """

    def state(self) -> object:
        """A value that is another one after each change; errors as of `read`."""


@dataclass(frozen=True)
class File:
    """A catalog in a file, JSON Lines."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)

    def read(self) -> Catalog:
        """The catalog in the file."""
        return reading.read_catalog(self.path)

    def state(self) -> bytes:
        """The file's bytes."""
        return self.path.read_bytes()


@dataclass(frozen=True)
class Database:
    """A catalog in a database (see store/). It is only read."""

    url: str

    def __str__(self) -> str:
        """The URL without its password."""
        from store import address
        from store.errors import StoreError

        try:
            return str(address.parse(self.url))
        except StoreError:
            return "the database"

    def read(self) -> Catalog:
        """The catalog in the database."""
        from store.errors import StoreError
        from store.reading import Reader

        try:
            with Reader.open(self.url) as reader:
                catalog = reader.catalog()
        except StoreError as error:
            raise ExportError(str(error)) from None
        if not catalog.services:
            raise reading.CatalogError([f"{self}: no services"])
        return catalog

    def state(self) -> int:
        """The revision of the database."""
        from store.errors import StoreError
        from store.reading import Reader

        try:
            with Reader.open(self.url) as reader:
                return reader.revision()
        except StoreError as error:
            raise ExportError(str(error)) from None


@dataclass(frozen=True)
class Loaded:
    """A catalog that the caller has, and what messages call it."""

    catalog: Catalog
    name: str

    def __str__(self) -> str:
        return self.name

    def read(self) -> Catalog:
        """The catalog."""
        return self.catalog

    def state(self) -> None:
        """Always the same."""


def of(text: str) -> Source:
    """The source that a command line names: a file, or a database by its URL."""
    return Database(text) if "://" in text else File(Path(text))
