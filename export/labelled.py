"""Labelled queries: what was typed, the service that should come first, and what kind of query it is."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from export.catalog import Service

OUT_OF_SCOPE = "out_of_scope"


@dataclass(frozen=True)
class Labelled:
    """A query.

    Attributes:
        query: as it was typed.
        id: of the service that should come first, None for queries that should find nothing.
        kind: what kind of query it is.
        clean: the query it was made from, by which it is tuned on or reported; the query itself if none.
    """

    query: str
    id: int | None
    kind: str
    clean: str = ""

    def as_kind(self, kind: str, query: str) -> Labelled:
        """The same intent, typed otherwise."""
        return replace(self, kind=kind, query=query, clean=self.origin)

    @property
    def origin(self) -> str:
        """The clean query."""
        return self.clean or self.query

    @property
    def held_out(self) -> bool:
        """Whether figures are reported on it; else weights may be tuned on it. Half of all clean queries, by hash."""
        return hashlib.sha256(self.origin.encode()).digest()[0] % 2 == 1


def read(path: Path) -> list[Labelled]:
    """Labelled queries from JSON Lines."""
    return [Labelled(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines() if line]


def names(services: Sequence[Service]) -> list[Labelled]:
    """The open services' names as queries."""
    return [Labelled(service.name, service.id, "name") for service in services if service.open]
