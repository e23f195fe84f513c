"""The rows that an engine keeps of a document, one for each passage and phrase, and the expressions that choose them.

Ids, categories and sets of surfaces are kept as hashes, too, and only hashes and numbers are put into an expression: no
text from outside is ever a part of one.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from malgil_core.documents import bm25
from malgil_core.documents.filters import Filter, date_number

from documents.engine import Engine
from documents.records import Record

FORMAT = 2  # raised with every change of what rows or statistics hold
FIELDS = ["document_key", "version", "phrase", "stored"]  # what a search reads
BOUNDED: dict[str, Any] = {"consistency_level": "Bounded"}


@dataclass(frozen=True)
class Passage:
    """A part of a body.

    Attributes:
        text: of it.
        start: where it begins in the body, in characters.
        ends: where its sentences end in `text`.
        embedded: what the encoder gets: the title, then the text.
    """

    text: str
    start: int
    ends: list[int]
    embedded: str


@dataclass(frozen=True)
class Stored:
    """A passage or phrase as it is kept: what a search shows of it.

    Attributes:
        text, start, ends: the passage; with a phrase, the document's first.
        phrase: the phrase; empty for a passage.
    """

    id: str
    title: str
    url: str
    category: str
    updated_at: str | None
    surfaces: tuple[str, ...]
    open: bool
    service_ids: tuple[str, ...]
    text: str
    start: int
    ends: tuple[int, ...]
    phrase: str = ""

    @classmethod
    def parse(cls, text: str) -> Stored:
        """The passage in a row's field `stored`."""
        fields = json.loads(text)
        return cls(**{**fields, **{name: tuple(fields[name]) for name in ("surfaces", "service_ids", "ends")}})


def key(*texts: str) -> str:
    """A hash of texts, as 32 hexadecimal digits."""
    return hashlib.sha256(json.dumps(texts).encode()).hexdigest()[:32]


def version_of(passage: str) -> int:
    """The version that the row with this id belongs to."""
    return int(passage.split(".")[1])


def digest(record: Record, tokens: int) -> str:
    """The hash by which a changed document is told; `tokens` of a passage at most."""
    return key(str(FORMAT), str(tokens), record.content())


def create(engine: Engine, collection: str, dimension: int) -> None:
    """Create a collection of passages, and load it."""
    from pymilvus import DataType, MilvusClient

    schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("passage", DataType.VARCHAR, is_primary=True, max_length=80)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dimension)
    for name in ("document_key", "category_key", "surfaces_key", "digest"):
        schema.add_field(name, DataType.VARCHAR, max_length=32)
    for name in ("version", "number", "passages", "rows", "updated"):
        schema.add_field(name, DataType.INT64)
    schema.add_field("open", DataType.BOOL)
    schema.add_field("phrase", DataType.BOOL)
    schema.add_field("stored", DataType.VARCHAR, max_length=65535)
    index = MilvusClient.prepare_index_params()
    index.add_index("vector", index_type="FLAT", metric_type="IP")
    if engine.sparse:
        schema.add_field("units", DataType.SPARSE_FLOAT_VECTOR)
        index.add_index("units", index_type="SPARSE_INVERTED_INDEX", metric_type="IP")
    engine.call("create_collection", collection, schema=schema, index_params=index)
    engine.call("load_collection", collection)


def rows(
    record: Record, passages: Sequence[Passage], vectors: Any, version: int, digest: str,
    counts: Sequence[Counter[int]], mean_length: float | None,
) -> list[dict[str, Any]]:  # fmt: skip
    """The rows of a document.

    Args:
        record: the document.
        passages: its passages.
        vectors: float32 [passages + phrases, D], of unit length.
        version: greater than those of its earlier rows.
        digest: what it is told by whether the document has changed.
        counts: the units of each passage and phrase.
        mean_length: for the sparse vectors; None where the engine takes none.
    """
    common = {
        "document_key": key(record.id), "category_key": key(record.category), "surfaces_key": key(*record.surfaces),
        "version": version, "digest": digest, "passages": len(passages),
        "rows": len(passages) + len(record.phrases), "open": record.open,
        "updated": date_number(record.updated_at) if record.updated_at else 0,
    }  # fmt: skip
    made = []
    parts = zip(to_store(record, passages), vectors, counts, strict=True)
    for number, (stored, vector, units) in enumerate(parts):
        row = {
            **common, "passage": f"{common['document_key']}.{version}.{number}", "number": number, "vector": vector,
            "phrase": bool(stored.phrase), "stored": json.dumps(vars(stored), ensure_ascii=False),
        }  # fmt: skip
        if mean_length is not None:
            row["units"] = bm25.passage_weights(units, mean_length)
        made.append(row)
    return made


def to_store(record: Record, passages: Sequence[Passage]) -> list[Stored]:
    """A document's passages and phrases, in the order of their rows."""
    fields = {name: value for name, value in vars(record).items() if name not in ("body", "phrases")}
    texts = [*((passage, "") for passage in passages), *((passages[0], phrase) for phrase in record.phrases)]
    return [
        Stored(**fields, text=passage.text, start=passage.start, ends=tuple(passage.ends), phrase=phrase)
        for passage, phrase in texts
    ]


def units_of(stored: Stored) -> Counter[int]:
    """The units of a passage, title included, or of a phrase."""
    return bm25.units(stored.phrase or f"{stored.title}\n{stored.text}")


def expression(chosen: Filter, surfaces: Iterable[Sequence[str]]) -> str:
    """The expression of a filter, for open documents.

    Args:
        chosen: the filter.
        surfaces: all sets of surfaces that documents have.
    """
    parts = ["open == true"]
    if chosen.categories:
        parts.append(is_in("category_key", map(key, chosen.categories)))
    if chosen.surface is not None:
        parts.append(is_in("surfaces_key", [key(*names) for names in surfaces if chosen.surface in names]))
    if chosen.updated_from is not None:
        parts.append(f"updated >= {chosen.updated_from:d}")
    if chosen.updated_to is not None:
        parts.append(f"updated > 0 and updated <= {chosen.updated_to:d}")
    return " and ".join(parts)


def is_in(field: str, keys: Iterable[str]) -> str:
    """The expression that a field holds one of the keys, which are of hexadecimal digits, points and numbers alone."""
    kept = sorted(set(keys)) or ["none"]
    if not all(one.replace(".", "").isalnum() and one.isascii() for one in kept):
        raise ValueError("a key holds something else than letters, digits and points")
    return f"{field} in [{', '.join(json.dumps(one) for one in kept)}]"
