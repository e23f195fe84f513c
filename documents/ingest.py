"""Ingesting: new and changed documents into the collection, without one ever being missing for a search.

The passages of a changed document are written beside the old ones; a search that sees both takes the newer. When the
new ones can be seen, and searches that began before have ended, the old ones are deleted: a search that had found the
old ones could no longer read them. So a run that was broken off is continued by the next.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from malgil_core.ranking.topk import unit
from malgil_core.ranking.types import Floats

from documents import collection, lookup, schema
from documents.collection import State
from documents.engine import Engine
from documents.errors import RecordError
from documents.passages import Splitter
from documents.records import Place, Record, Refuse
from documents.schema import Passage

PASSAGES = 128  # embedded and written together; milvus-lite is slow with more than 200 that are not flushed
GRACE_SECONDS = 1.0  # that a search may take: milvus-lite reads the rows that it has found when all are found
SAVED_SECONDS = 10.0  # between two writes of the statistics
Embed = Callable[[Sequence[str]], Floats]


@dataclass
class Report:
    """What became of the documents of a run; `passages` were embedded, phrases among them."""

    new: int = 0
    changed: int = 0
    same: int = 0
    refused: int = 0
    passages: int = 0

    def __str__(self) -> str:
        return (
            f"{self.new} new, {self.changed} changed, {self.same} unchanged, {self.refused} refused; "
            f"{self.passages} passages and phrases embedded"
        )


@dataclass(frozen=True)
class _Changed:
    """A document that is to be written: its passages, and the ids of the rows that it replaces."""

    record: Record
    passages: list[Passage]
    digest: str
    old: list[str]


@dataclass
class Ingest:
    """Writes documents into one collection.

    Attributes:
        engine: where it is.
        name: of the collection.
        state: of it.
        splitter: cuts bodies.
        embed: passages to vectors.
        refuse: called for a document that cannot be cut.
        advance: called with the numbers of documents seen and of passages embedded.
        embed_phrases: phrases to vectors; only documents without any can be written without it.
    """

    engine: Engine
    name: str
    state: State
    splitter: Splitter
    embed: Embed
    refuse: Refuse
    advance: Callable[[Report], None] = lambda report: None
    report: Report = field(default_factory=Report)
    embed_phrases: Embed | None = None
    _written: list[str] = field(default_factory=list)  # rows that may not be seen yet
    _old: list[tuple[float, Sequence[str]]] = field(default_factory=list)  # to delete, and since when they are replaced
    _deleted: list[str] = field(default_factory=list)  # rows that may be seen still
    _is_saved: bool = True  # whether the statistics are those of the rows
    _saved: float = 0.0

    def run(self, records: Iterable[tuple[Place, Record]]) -> Report:
        """Write what is new or changed, batch by batch; it can be seen when this returns."""
        self._recount()
        is_empty = not self.state.statistics.passages
        batch: list[_Changed] = []
        self._saved = time.monotonic()
        for lot in lookup.lots(records):
            keys = [schema.key(record.id) for _, record in lot]
            stored = {} if is_empty else lookup.known(self.engine, self.name, keys)
            for (place, record), key in zip(lot, keys, strict=True):
                before = stored.get(key, lookup.Known())
                if found := self._changed(place, record, before):
                    batch.append(found)
                if sum(len(one.passages) + len(one.record.phrases) for one in batch) >= PASSAGES:
                    self._write(batch)
                    batch = []
                self.advance(self.report)
        if batch:
            self._write(batch)
        self._finish()
        self.advance(self.report)
        return self.report

    def _changed(self, place: Place, record: Record, before: lookup.Known) -> _Changed | None:
        """A document that is to be written, cut; None if it is not."""
        digest = schema.digest(record, self.splitter.tokens)
        if before.digest == digest:
            self.report.same += 1
            self._drop(before.others())
            return None
        try:
            passages = self.splitter.passages(record.title, record.body)
        except RecordError as error:
            self.refuse(place, str(error))
            return None
        self.report.new += not before.digest
        self.report.changed += bool(before.digest)
        return _Changed(record, passages, digest, before.ids)

    def _recount(self) -> None:
        """Count the passages anew if a run was broken off after it wrote some, and before it wrote the statistics."""
        statistics = self.state.statistics
        if collection.count(self.engine, self.name) != statistics.passages:
            statistics.clear()
            self.state.phrases = 0
            for page in self.engine.pages(self.name, ["stored"]):
                for row in page:
                    self.state.count_row(row)
            collection.write_state(self.engine, self.name, self.state)

    def _write(self, batch: Sequence[_Changed]) -> None:
        engine, state = self.engine, self.state
        counts = [[schema.units_of(one) for one in schema.to_store(part.record, part.passages)] for part in batch]
        if not state.statistics.mean_length:  # of the first batch, and kept: sparse vectors are not written twice
            # Of passages alone: with phrases, a twentieth as long, in the mean, long passages would count for little.
            lengths = [
                sum(units.values())
                for part, found in zip(batch, counts, strict=True)
                for units in found[: len(part.passages)]
            ]
            state.statistics.mean_length = max(float(np.mean(lengths)), 1.0)
        surfaces = {part.record.surfaces for part in batch}
        if not surfaces <= state.surfaces:  # before the rows: filters choose among the known sets
            state.surfaces |= surfaces
            collection.write_state(engine, self.name, state)
        version = time.time_ns() // 1000
        mean_length = state.statistics.mean_length if engine.sparse else None
        rows: list[dict[str, Any]] = []
        for part, vectors, units in zip(batch, self._embedded(batch), counts, strict=True):
            rows += schema.rows(part.record, part.passages, vectors, version, part.digest, units, mean_length)[::-1]
        for first in range(0, len(rows), PASSAGES):
            engine.call("upsert", self.name, rows[first : first + PASSAGES])
            if engine.embedded:
                engine.call("flush", self.name)
        for part, units in zip(batch, counts, strict=True):
            for number, one in enumerate(units):
                state.count(one, number >= len(part.passages))
        self._written += [row["passage"] for row in rows]
        self.report.passages += len(rows)
        self._is_saved = False
        self._drop([id for part in batch for id in part.old])
        if time.monotonic() - self._saved > SAVED_SECONDS:
            self._finish()

    def _embedded(self, batch: Sequence[_Changed]) -> list[Floats]:
        """The vectors of each document's passages and phrases."""
        texts = [passage.embedded for part in batch for passage in part.passages]
        phrases = [phrase for part in batch for phrase in part.record.phrases]
        vectors = unit(np.asarray(self.embed(texts), dtype=np.float32))
        named = vectors[:0]
        if phrases:
            if self.embed_phrases is None:
                raise ValueError("embed_phrases is None: documents with phrases need it")
            named = unit(np.asarray(self.embed_phrases(phrases), dtype=np.float32))
        found = []
        at = named_at = 0
        for part in batch:
            end, named_end = at + len(part.passages), named_at + len(part.record.phrases)
            found.append(np.concatenate([vectors[at:end], named[named_at:named_end]]))
            at, named_at = end, named_end
        return found

    def _drop(self, ids: Sequence[str]) -> None:
        """Delete rows, a while after those that replace them can be seen."""
        if ids:
            self._wait()
            self._old.append((time.monotonic(), ids))
            self._is_saved = False
        while self._old and time.monotonic() - self._old[0][0] > GRACE_SECONDS:
            self._delete_oldest()

    def _delete_oldest(self) -> None:
        since, ids = self._old.pop(0)
        time.sleep(max(since + GRACE_SECONDS - time.monotonic(), 0.0))
        _delete(self.engine, self.name, self.state, ids)
        self._deleted += ids

    def _wait(self) -> None:
        collection.wait(self.engine, self.name, self._written)
        self._written = []

    def _finish(self) -> None:
        """Write the statistics, and wait until all can be seen."""
        if not self._is_saved:
            self._wait()
            while self._old:
                self._delete_oldest()
            collection.write_state(self.engine, self.name, self.state)
            collection.wait(self.engine, self.name, self._deleted, seen=False)
            self._deleted, self._is_saved = [], True
        self._saved = time.monotonic()


def remove(engine: Engine, name: str, state: State, keys: Sequence[str]) -> int:
    """Delete documents; how many of them were there."""
    stored = lookup.known(engine, name, keys)
    ids = [id for one in stored.values() for id in one.ids]
    _delete(engine, name, state, ids)
    collection.wait(engine, name, ids, seen=False)
    return len(stored)


def _delete(engine: Engine, name: str, state: State, ids: Sequence[str]) -> None:
    for first in range(0, len(ids), PASSAGES):
        part = list(ids[first : first + PASSAGES])
        for row in engine.call("get", name, part, output_fields=["stored"], **schema.BOUNDED):
            state.count_row(row, -1)
        engine.call("delete", name, ids=part)
