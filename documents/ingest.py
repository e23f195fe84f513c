"""Ingesting: new and changed documents into the collection, without one ever being missing for a search.

The passages of a changed document are written beside the old ones; a search that sees both takes the newer. When the
new ones can be seen, the old ones are deleted. So a run that was broken off is continued by the next.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from malgil_core.documents import bm25
from malgil_core.ranking.topk import unit
from malgil_core.ranking.types import Floats

from documents import collection, schema
from documents.collection import State
from documents.engine import Engine
from documents.errors import RecordError
from documents.passages import Splitter
from documents.records import Place, Record, Refuse
from documents.schema import Passage

PASSAGES = 128  # embedded and written together; milvus-lite is slow with more than 200 that are not flushed
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

    def run(self, records: Iterable[tuple[Place, Record]]) -> Report:
        """Write what is new or changed, batch by batch."""
        self._recount()
        digests = self._digests()
        batch: list[tuple[Record, list[Passage], str]] = []
        saved = time.monotonic()
        changed = False
        for place, record in records:
            digest = schema.digest(record, self.splitter.tokens)
            before = digests.get(schema.key(record.id))
            if before == digest:
                self.report.same += 1
                continue
            try:
                passages = self.splitter.passages(record.title, record.body)
            except RecordError as error:
                self.refuse(place, str(error))
                continue
            self.report.new += before is None
            self.report.changed += before is not None
            batch.append((record, passages, digest))
            if sum(len(passages) + len(record.phrases) for record, passages, _ in batch) >= PASSAGES:
                self._write(batch)
                batch, changed = [], True
                if time.monotonic() - saved > SAVED_SECONDS:
                    collection.write_state(self.engine, self.name, self.state)
                    saved, changed = time.monotonic(), False
            self.advance(self.report)
        if batch:
            self._write(batch)
        if batch or changed:
            collection.write_state(self.engine, self.name, self.state)
        self.advance(self.report)
        return self.report

    def _recount(self) -> None:
        """Count the passages anew if a run was broken off after it wrote some, and before it wrote the statistics."""
        statistics = self.state.statistics
        if collection.count(self.engine, self.name) != statistics.passages:
            statistics.clear()
            self.state.phrases = 0
            for row in self.engine.rows(self.name, ["stored"]):
                self.state.count(schema.Stored.parse(row["stored"]))
            collection.write_state(self.engine, self.name, self.state)

    def _digests(self) -> dict[str, str]:
        """The digest of each document that is stored whole: its first passage is written last."""
        rows = self.engine.rows(self.name, ["document_key", "version", "digest"], "number == 0")
        return {row["document_key"]: row["digest"] for row in sorted(rows, key=lambda row: int(row["version"]))}

    def _write(self, batch: Sequence[tuple[Record, list[Passage], str]]) -> None:
        engine, state = self.engine, self.state
        texts = [passage.embedded for _, passages, _ in batch for passage in passages]
        phrases = [phrase for record, _, _ in batch for phrase in record.phrases]
        if not state.statistics.mean_length:  # of the first batch, and kept: sparse vectors are not written twice
            lengths = [sum(bm25.units(text).values()) for text in texts]  # phrases count as short passages
            state.statistics.mean_length = max(float(np.mean(lengths)), 1.0)
        surfaces = {record.surfaces for record, _, _ in batch}
        if not surfaces <= state.surfaces:  # before the rows: filters choose among the known sets
            state.surfaces |= surfaces
            collection.write_state(engine, self.name, state)
        vectors = unit(np.asarray(self.embed(texts), dtype=np.float32))
        named = vectors[:0]
        if phrases:
            if self.embed_phrases is None:
                raise ValueError("embed_phrases is None: documents with phrases need it")
            named = unit(np.asarray(self.embed_phrases(phrases), dtype=np.float32))
        version = time.time_ns() // 1000
        rows: list[dict[str, Any]] = []
        at = named_at = 0
        for record, passages, digest in batch:
            mean_length = state.statistics.mean_length if engine.sparse else None
            part = np.concatenate([vectors[at : at + len(passages)], named[named_at : named_at + len(record.phrases)]])
            rows += schema.rows(record, passages, part, version, digest, mean_length)[::-1]
            at, named_at = at + len(passages), named_at + len(record.phrases)
        for first in range(0, len(rows), PASSAGES):
            engine.call("upsert", self.name, rows[first : first + PASSAGES])
            if engine.embedded:
                engine.call("flush", self.name)
        for row in rows:
            state.count(schema.Stored.parse(row["stored"]))
        keys = [schema.key(record.id) for record, _, _ in batch]
        collection.wait_seen(engine, self.name, f"version == {version}", len(rows))
        remove(engine, self.name, state, keys, version)
        self.report.passages += len(rows)


def remove(engine: Engine, name: str, state: State, keys: Sequence[str], before: int | None = None) -> int:
    """Delete the passages of documents, or those older than a version; how many documents had some."""
    where = schema.is_in("document_key", keys)
    if before is not None:
        where += f" and version < {before:d}"
    old = engine.rows(name, ["passage", "document_key", "stored"], where)
    for row in old:
        state.count(schema.Stored.parse(row["stored"]), -1)
    for first in range(0, len(old), PASSAGES):
        engine.call("delete", name, ids=[row["passage"] for row in old[first : first + PASSAGES]])
    if old:
        collection.wait_seen(engine, name, where, 0)
    return len({row["document_key"] for row in old})
