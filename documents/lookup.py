"""What the engine holds of documents that are about to be written or deleted, asked for by their keys alone.

So the cost of an update depends on what is ingested, not on what is stored.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from documents import schema
from documents.engine import Engine
from documents.records import Place, Record

DOCUMENTS = 500  # that the engine is asked for at once
CHARACTERS = 2**22  # of the bodies that are held meanwhile


@dataclass
class Known:
    """The rows of one document.

    Attributes:
        digest: of its newest version that is whole; empty if there is none.
        version: of that.
        ids: of all its rows.
    """

    digest: str = ""
    version: int = -1
    ids: list[str] = field(default_factory=list)

    def others(self) -> list[str]:
        """The rows that do not belong to its newest whole version: a run was broken off."""
        return [id for id in self.ids if schema.version_of(id) != self.version]


def known(engine: Engine, name: str, keys: Sequence[str]) -> dict[str, Known]:
    """What is stored of the documents with these keys; those of which nothing is have no entry.

    A version is whole if its first passage is there, which is written last.
    """
    found: dict[str, Known] = {}
    fields = ["passage", "document_key", "version", "number", "digest"]
    for first in range(0, len(keys), DOCUMENTS):
        for page in engine.pages(name, fields, schema.is_in("document_key", keys[first : first + DOCUMENTS])):
            for row in page:
                one = found.setdefault(row["document_key"], Known())
                one.ids.append(row["passage"])
                if row["number"] == 0 and row["version"] > one.version:
                    one.digest, one.version = row["digest"], row["version"]
    return found


def lots(records: Iterable[tuple[Place, Record]]) -> Iterator[list[tuple[Place, Record]]]:
    """The records in lots of at most DOCUMENTS, and of fewer where their bodies are long."""
    lot: list[tuple[Place, Record]] = []
    held = 0
    for place, record in records:
        lot.append((place, record))
        held += len(record.body)
        if len(lot) == DOCUMENTS or held > CHARACTERS:
            yield lot
            lot, held = [], 0
    if lot:
        yield lot
