"""Labelled queries: what was typed, the service that should come first, and what kind of query it is."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from malgil_core.catalog.reading import Service

from export.errors import ExportError

OUT_OF_SCOPE = "out_of_scope"


@dataclass(frozen=True)
class Labelled:
    """A query and what it should find.

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


class LabelError(ExportError):
    """A line of labelled queries that cannot be used; the text names file, line and field.

    Attributes:
        line: its number.
    """

    def __init__(self, text: str, line: int) -> None:
        super().__init__(text)
        self.line = line


def read(path: Path) -> list[Labelled]:
    """Labelled queries from a file, as `parse`."""
    return parse(path.read_bytes(), str(path))


def parse(content: bytes, source: str) -> list[Labelled]:
    """Labelled queries from JSON Lines: {"query": text, "id": number or null, "kind": text} each.

    Args:
        content: of a file.
        source: its name in errors.

    Raises:
        LabelError: a line is something else.
    """
    found = []
    for number, line in enumerate(content.split(b"\n"), start=1):
        if line.strip():
            try:
                found.append(_labelled(json.loads(line)))
            except (ValueError, RecursionError) as error:  # JSONDecodeError and UnicodeDecodeError among them
                raise LabelError(f"{source}:{number}: {error}", number) from None
    return found


def _labelled(value: object) -> Labelled:
    if not isinstance(value, dict) or not {"query", "id"} <= value.keys() <= {"query", "id", "kind"}:
        raise ValueError('a labelled query is {"query": …, "id": …, "kind": …}')
    query, id, kind = value["query"], value["id"], value.get("kind", "")
    if not isinstance(query, str) or not query.strip():
        raise ValueError("query must be a text that is not blank")
    if not isinstance(kind, str):
        raise ValueError("kind must be a text")
    if any("\ud800" <= character <= "\udfff" for character in f"{query}{kind}"):
        raise ValueError("query or kind holds half a surrogate pair")
    if id is not None and (isinstance(id, bool) or not isinstance(id, int)):
        raise ValueError(f"id is {json.dumps(id)[:40]}: it must be a service's id, or null")
    return Labelled(query, id, kind)


def names(services: Sequence[Service]) -> list[Labelled]:
    """The open services' names as queries."""
    return [Labelled(service.name, service.id, "name") for service in services if service.open]
