"""A lease on an alias: of two commands that would write at once, one is refused.

Engines have no transactions, so it is rows of a collection beside those of the alias: a command adds a row, and then
looks, with strong consistency, whether there is another's. Whichever of two adds its row later sees the other's, so
never do both go on; of two that start at the same moment both may be refused. A row holds for EXPIRY_SECONDS, and is
renewed by a new one: that of a command that was killed is passed over after that time, and taken away. It is told by
the clocks of the machines, which must not differ by more than half of it.
"""

from __future__ import annotations

import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from documents.collection import ALIAS
from documents.engine import Engine, EngineError
from documents.errors import DocumentsError

EXPIRY_SECONDS = 45.0
RENEW_SECONDS = 10.0
_STRONG: dict[str, Any] = {"consistency_level": "Strong"}


class LeaseError(DocumentsError):
    """Another command writes to the same documents."""


@contextmanager
def held(engine: Engine, what: str, alias: str = ALIAS) -> Iterator[None]:
    """Hold the lease of an alias for as long as this lasts; `what` names the command for others.

    Raises:
        LeaseError: another command holds it, or this one could not renew it in time.
    """
    lease = _Lease(engine, what, f"{alias}_lease")
    lease.take()
    done = threading.Event()
    renewer = threading.Thread(target=lease.renew, args=(done,), name="documents-lease", daemon=True)
    renewer.start()
    try:
        yield
    finally:
        done.set()
        renewer.join()
        lease.give_back()
    if lease.lost:
        raise LeaseError(f"the lease of {alias} could not be renewed for {EXPIRY_SECONDS:.0f} s: run `verify`")


class _Lease:
    def __init__(self, engine: Engine, what: str, name: str) -> None:
        self._engine, self._what, self._name = engine, what, name
        self._owner = secrets.token_hex(8)
        self._since = int(time.time())
        self._ids: list[int] = []
        self.lost = False

    def take(self) -> None:
        self._create()
        self._add()
        rows = self._engine.call(
            "query", self._name, filter="id >= 0", output_fields=["id", "owner", "what", "since", "until"], **_STRONG
        )
        now = time.time()
        others = [row for row in rows if row["owner"] != self._owner]
        if living := [row for row in others if row["until"] > now]:
            self.give_back()
            first = min(living, key=lambda row: int(row["since"]))
            since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(first["since"]))
            raise LeaseError(f"another {first['what']} is under way, since {since}: wait until it has ended")
        if others:
            self._engine.call("delete", self._name, ids=[row["id"] for row in others])

    def renew(self, done: threading.Event) -> None:
        until = time.monotonic() + EXPIRY_SECONDS
        while not done.wait(RENEW_SECONDS):
            old = [*self._ids]
            with suppress(EngineError):
                self._add()
                self.lost = self.lost or time.monotonic() > until
                until = time.monotonic() + EXPIRY_SECONDS
                self._engine.call("delete", self._name, ids=old)
                self._ids = self._ids[len(old) :]
        self.lost = self.lost or time.monotonic() > until

    def give_back(self) -> None:
        with suppress(EngineError):  # it expires
            self._engine.call("delete", self._name, ids=self._ids)

    def _add(self) -> None:
        id = secrets.randbits(62)
        row = {"id": id, "owner": self._owner, "what": self._what, "since": self._since, "vector": [0.0, 1.0]}
        self._ids.append(id)  # before it is known to be there: it is to be deleted in any case
        self._engine.call("upsert", self._name, [row | {"until": int(time.time() + EXPIRY_SECONDS)}])

    def _create(self) -> None:
        from pymilvus import DataType, MilvusClient

        if not self._engine.call("has_collection", self._name):
            rows = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
            rows.add_field("id", DataType.INT64, is_primary=True)
            rows.add_field("owner", DataType.VARCHAR, max_length=100)
            rows.add_field("what", DataType.VARCHAR, max_length=1000)
            rows.add_field("since", DataType.INT64)
            rows.add_field("until", DataType.INT64)
            rows.add_field("vector", DataType.FLOAT_VECTOR, dim=2)  # a collection must have one
            index = MilvusClient.prepare_index_params()
            index.add_index("vector", index_type="FLAT", metric_type="IP")
            try:
                self._engine.call("create_collection", self._name, schema=rows, index_params=index)
            except EngineError:
                if not self._engine.call("has_collection", self._name):  # not made by another at the same moment
                    raise
        self._engine.call("load_collection", self._name)


def described(command: str) -> str:
    """A command as others are told of it."""
    return f"{command} (on {socket.gethostname()})"[:200]
