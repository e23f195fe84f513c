"""Collections of passages: the one that is searched has an alias, and statistics in a collection beside it.

milvus-lite drops a collection's description, so what belongs to a whole collection is kept as rows, too. Rows are never
replaced: a new version is written under keys of its own before the older one is deleted, since the rows of a server's
upsert can be missing for half a second.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from malgil_core.documents.bm25 import Statistics

from documents import schema
from documents.engine import CALL_SECONDS, Engine, EngineError, NotFoundError

ALIAS = "documents"
SEEN_SECONDS = 30.0  # until a write must be visible
_PART = 60_000  # bytes of a row
_PARTS = 1000  # rows of a version at most
_ASKED = 1000  # ids at once


@dataclass
class State:
    """What belongs to a whole collection.

    Attributes:
        encoder: fingerprint of the encoder whose vectors it holds.
        dimension: of the vectors.
        tokens: of a passage at most.
        statistics: of its passages and phrases.
        phrases: how many of these are phrases.
        surfaces: all sets of surfaces that its documents have, or had.
        version: of the state itself.
    """

    encoder: str
    dimension: int
    tokens: int
    statistics: Statistics = field(default_factory=Statistics)
    surfaces: set[tuple[str, ...]] = field(default_factory=set)
    version: int = 0
    phrases: int = 0

    def count(self, units: Iterable[int], is_phrase: bool, by: Literal[1, -1] = 1) -> None:
        """Count a passage or phrase by its units, or no longer count it."""
        (self.statistics.add if by == 1 else self.statistics.remove)(units)
        self.phrases = max(self.phrases + by * is_phrase, 0)

    def count_row(self, row: Mapping[str, Any], by: Literal[1, -1] = 1) -> None:
        """The same with the row of the engine."""
        stored = schema.Stored.parse(row["stored"])
        self.count(schema.units_of(stored), bool(stored.phrase), by)


def current(engine: Engine, alias: str = ALIAS, timeout: float = CALL_SECONDS) -> str | None:
    """The name of the collection that an alias stands for, loaded; None if there is no such alias."""
    try:
        name = str(engine.call("describe_collection", alias, timeout=timeout)["collection_name"])
    except NotFoundError:
        return None
    for part in (name, f"{name}_state"):
        engine.load(part, timeout)
    return name


def create(engine: Engine, state: State, alias: str = ALIAS) -> str:
    """Create the next collection of an alias, which does not name it yet; its name."""
    # Of statistics alone, too: a run that is killed may leave them without their collection.
    taken = [one.removeprefix(f"{alias}_").removesuffix("_state") for one in engine.call("list_collections")]
    numbers = [int(one) for one in taken if one.isdecimal()]
    name = f"{alias}_{max(numbers, default=0) + 1:06d}"
    _create_state(engine, name)
    write_state(engine, name, state)
    schema.create(engine, name, state.dimension)
    return name


def point(engine: Engine, alias: str, name: str) -> str | None:
    """Let an alias name a collection; the one that it named before."""
    before = current(engine, alias)
    engine.call("create_alias" if before is None else "alter_alias", name, alias)
    return before


def drop(engine: Engine, name: str) -> None:
    """Drop a collection, and its statistics."""
    engine.call("drop_collection", name)
    engine.call("drop_collection", f"{name}_state")


def _create_state(engine: Engine, name: str) -> None:
    from pymilvus import DataType, MilvusClient

    rows = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
    rows.add_field("id", DataType.INT64, is_primary=True)
    rows.add_field("version", DataType.INT64)
    rows.add_field("part", DataType.INT64)
    rows.add_field("parts", DataType.INT64)
    rows.add_field("data", DataType.VARCHAR, max_length=65535)
    rows.add_field("vector", DataType.FLOAT_VECTOR, dim=2)  # a collection must have one
    index = MilvusClient.prepare_index_params()
    index.add_index("vector", index_type="FLAT", metric_type="IP")
    engine.call("create_collection", f"{name}_state", schema=rows, index_params=index)
    engine.call("load_collection", f"{name}_state")


def write_state(engine: Engine, name: str, state: State) -> None:
    """Write what belongs to a collection as a new version, and delete the older ones when it can be read."""
    state.version = max(time.time_ns() // 1000, state.version + 1)
    statistics = state.statistics
    text = json.dumps(
        {
            "format": schema.FORMAT, "encoder": state.encoder, "dimension": state.dimension, "tokens": state.tokens,
            "surfaces": sorted(state.surfaces), "passages": statistics.passages, "phrases": state.phrases,
            "mean_length": statistics.mean_length, "doc_freq": statistics.pack(),
        }
    )  # fmt: skip
    parts = [text[at : at + _PART] for at in range(0, len(text), _PART)]
    ids = [state.version * _PARTS + part for part in range(len(parts))]
    rows = [
        {"id": id, "version": state.version, "part": part, "parts": len(parts), "data": data, "vector": [0.0, 1.0]}
        for part, (id, data) in enumerate(zip(ids, parts, strict=True))
    ]
    engine.call("upsert", f"{name}_state", rows)
    wait(engine, f"{name}_state", ids)
    old = engine.call("query", f"{name}_state", filter=f"version < {state.version}", output_fields=["id"])
    if old:
        engine.call("delete", f"{name}_state", ids=[row["id"] for row in old])


def newest(engine: Engine, name: str, timeout: float) -> int:
    """The newest version of what belongs to a collection; 0 if there is none."""
    found = engine.call(
        "query", f"{name}_state", filter="part == 0", output_fields=["version"], timeout=timeout, **schema.BOUNDED
    )
    return max((row["version"] for row in found), default=0)


def read_state(engine: Engine, name: str, timeout: float = SEEN_SECONDS) -> State:
    """What belongs to a collection.

    Raises:
        EngineError: it is damaged, or of another version of documents.
    """
    fields = ["version", "part", "parts", "data"]
    rows = engine.call(
        "query", f"{name}_state", filter="id >= 0", output_fields=fields, timeout=timeout, **schema.BOUNDED
    )
    versions: dict[int, list[Any]] = {}
    for row in rows:
        versions.setdefault(row["version"], []).append(row)
    whole = [version for version, found in versions.items() if len(found) == found[0]["parts"]]
    if not whole:
        raise EngineError(f"{name} has no statistics: ingest into another alias, or drop it")
    version = max(whole)
    try:
        text = "".join(row["data"] for row in sorted(versions[version], key=lambda row: int(row["part"])))
        value = json.loads(text)
        if value["format"] != schema.FORMAT:
            raise ValueError(
                f"they are of format {value['format']}, and {schema.FORMAT} is read: run `python -m documents rebuild`"
            )
        statistics = Statistics.unpack(value["doc_freq"], value["passages"], value["mean_length"])
        surfaces = {tuple(names) for names in value["surfaces"]}
        return State(
            value["encoder"], value["dimension"], value["tokens"], statistics, surfaces, version, int(value["phrases"])
        )
    except (ValueError, KeyError, TypeError) as error:
        raise EngineError(f"the statistics of {name} cannot be used: {error}") from None


def wait(engine: Engine, name: str, ids: Sequence[int | str], seen: bool = True) -> None:
    """Wait until a search would see the rows with these ids, or none of them.

    Raises:
        EngineError: that is not so after SEEN_SECONDS.
    """
    deadline = time.monotonic() + SEEN_SECONDS
    for first in range(0, len(ids), _ASKED):
        part = list(ids[first : first + _ASKED])
        key = "id" if isinstance(part[0], int) else "passage"
        while len(engine.call("get", name, part, output_fields=[key], **schema.BOUNDED)) != len(part) * seen:
            if time.monotonic() > deadline:
                what = "written is not to be seen" if seen else "deleted is still to be seen"
                raise EngineError(f"{name}: what was {what} after {SEEN_SECONDS:g} s")
            time.sleep(0.02)


def count(engine: Engine, name: str) -> int:
    """How many rows a search would see."""
    found = engine.call("query", name, filter="", output_fields=["count(*)"], **schema.BOUNDED)
    return int(found[0]["count(*)"])
