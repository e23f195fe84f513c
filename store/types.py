"""What a store holds: entries of the catalog with their versions, changes, accounts, test sets."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, Literal, TypeVar

from malgil_core.catalog.null_topic import NullTopic
from malgil_core.catalog.reading import Catalog
from malgil_core.catalog.service import Service

Line = dict[str, Any]  # a line of a catalog, as Service.as_dict() and NullTopic.as_dict()
Role = Literal["read", "edit", "publish"]
ROLES: tuple[Role, ...] = ("read", "edit", "publish")  # each may do what those before it may
T = TypeVar("T", Service, NullTopic)


@dataclass(frozen=True)
class Stored(Generic[T]):
    """An entry of the catalog, in its present version.

    Attributes:
        key: of the entry, for both kinds; never used for another.
        value: the service or null topic.
        version: from 1; each save adds 1.
        changed_at: of this version, in UTC.
        changed_by: of this version.
    """

    key: int
    value: T
    version: int
    changed_at: datetime
    changed_by: str


@dataclass(frozen=True)
class Snapshot:
    """The catalog at one moment.

    Attributes:
        revision: number of the last change that it includes; 0 of an empty store.
        services: in the order of the catalog.
        null_topics: the same.
    """

    revision: int
    services: tuple[Stored[Service], ...]
    null_topics: tuple[Stored[NullTopic], ...]

    @property
    def catalog(self) -> Catalog:
        """The values, as if read from a file."""
        return Catalog([entry.value for entry in self.services], [entry.value for entry in self.null_topics])


@dataclass(frozen=True)
class Change:
    """One entry of the history, which only grows.

    Attributes:
        number: ascending over the whole store, without holes.
        at: in UTC.
        by: who did it.
        action: "create", "change", "delete", "restore" or "import" of the catalog; others are named by their callers.
        kind: "service", "null_topic", "catalog", "account", "tests", or another that its caller names.
        key: of the entry; None if it is not one of the catalog.
        name: of the entry, then.
        before: the entry's line before the change, None if there was none.
        after: the entry's line after the change, None if there is none.
        note: free text.
        version: of the entry after the change; None if it is not one of the catalog.
    """

    number: int
    at: datetime
    by: str
    action: str
    kind: str
    key: int | None
    name: str
    before: Line | None
    after: Line | None
    note: str
    version: int | None


@dataclass(frozen=True)
class ImportReport:
    """What an import did: names of services and null topics, in the order of the file (removed ones: of the store)."""

    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]
    unchanged: tuple[str, ...]

    def __str__(self) -> str:
        counts = ("added", "changed", "removed", "unchanged")
        return ", ".join(f"{len(getattr(self, name)):,} {name}" for name in counts)


@dataclass(frozen=True)
class Account:
    """A person or program that may use the console.

    Attributes:
        name: what it logs in with.
        role: what it may do.
        active: whether it may do it at present.
        created_at: in UTC.
    """

    name: str
    role: Role
    active: bool
    created_at: datetime


@dataclass(frozen=True)
class TestSet:
    """A named set of labelled queries, as a file.

    Attributes:
        name: of the set.
        content: JSON Lines, as export/catalog/labelled.py reads them.
        changed_at: in UTC.
        changed_by: who saved it last.
    """

    __test__ = False  # for pytest: no class of tests

    name: str
    content: bytes
    changed_at: datetime
    changed_by: str
