"""The vector engine: milvus-lite on this machine or a Milvus server, by one code path.

What the engine lacks is found out when it is connected to, from its version: one without sparse vectors takes a
collection that has them, and crashes when it loads it (2.3.5).
"""

from __future__ import annotations

import logging
import os
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from documents.errors import DocumentsError

DEFAULT_URI = "http://127.0.0.1:19530"
SPARSE_SINCE = (2, 4)
CONNECT_SECONDS = 10.0
CALL_SECONDS = 60.0
PAGE = 1000  # rows
# pymilvus pings every ten seconds, and a gRPC server such as milvus-lite's, which takes one ping in five minutes, ends
# the connection for it. And gRPC waits for up to two minutes before it tries a connection again.
_CHANNEL = {
    "grpc.keepalive_time_ms": 300_000,
    "grpc.keepalive_permit_without_calls": 0,
    "grpc.use_local_subchannel_pool": 1,
    "grpc.max_reconnect_backoff_ms": 1000,
}


class EngineError(DocumentsError):
    """The engine cannot be reached, or refuses a call."""


class NotFoundError(EngineError):
    """The engine has no such collection."""


@dataclass(frozen=True)
class Access:
    """How to reach an engine.

    Attributes:
        uri: http://HOST:PORT, or https:// with TLS.
        token: USER:PASSWORD, or a key.
        tls_ca: certificates that the server's is checked with; the system's without it.
    """

    uri: str = DEFAULT_URI
    token: str = ""
    tls_ca: Path | None = None

    @classmethod
    def from_environment(cls) -> Access | None:
        """What MALGIL_DOCUMENTS, and MALGIL_DOCUMENTS_TOKEN and MALGIL_DOCUMENTS_CA beside it, say; None without it."""
        uri, ca = os.environ.get("MALGIL_DOCUMENTS"), os.environ.get("MALGIL_DOCUMENTS_CA")
        return cls(uri, os.environ.get("MALGIL_DOCUMENTS_TOKEN", ""), Path(ca) if ca else None) if uri else None

    def is_answering(self, timeout: float) -> bool:
        """Whether the engine takes a connection within so many seconds: of gRPC, or with TLS of TCP.

        The kernel, or a proxy, takes a TCP connection for an engine that hangs or is down, too.
        """
        import grpc

        host, port = self.address()
        if self.uri.startswith("https:"):
            try:
                socket.create_connection((host, port), timeout).close()
            except OSError:
                return False
            return True
        with grpc.insecure_channel(f"{host}:{port}", [("grpc.use_local_subchannel_pool", 1)]) as channel:
            try:
                grpc.channel_ready_future(channel).result(timeout)
            except grpc.FutureTimeoutError:
                return False
        return True

    def address(self) -> tuple[str, int]:
        """Host and port.

        Raises:
            EngineError: the URI has none.
        """
        try:
            parts = urlsplit(self.uri)
            if parts.scheme in ("http", "https") and parts.hostname and parts.port:
                return parts.hostname, parts.port
        except ValueError:
            pass
        raise EngineError(
            f"the engine's address is {self.uri[:80]!r}: it must be http://HOST:PORT or https://HOST:PORT"
        )


class Engine:
    """A connection to an engine.

    Args:
        access: how to reach it.
        connect_seconds: how long it may take to answer at first.

    Attributes:
        version: as the engine says it.
        embedded: whether it is milvus-lite.
        sparse: whether it takes sparse vectors.
    """

    def __init__(self, access: Access, connect_seconds: float = CONNECT_SECONDS) -> None:
        access.address()
        self._loaded: set[str] = set()
        from pymilvus import MilvusClient

        logging.getLogger("pymilvus").setLevel(logging.CRITICAL)  # it logs the traceback of each error it raises
        # Dedicated, or it shares the connection of another Engine to this address, whatever certificates that trusts.
        options: dict[str, Any] = {"grpc_options": _CHANNEL, "dedicated": True}
        if access.tls_ca:
            options["server_pem_path"] = str(access.tls_ca)
        try:
            self._client = MilvusClient(uri=access.uri, token=access.token, timeout=connect_seconds, **options)
        except Exception as error:  # MilvusException, grpc's, and ValueError of its parser
            raise EngineError(
                f"{access.uri}: no engine answers: {_first_line(error)}. Start one, such as "
                "`milvus-lite server --data-dir FOLDER --host 127.0.0.1 --port 19530`"
            ) from None
        try:
            self.version: str = self.call("get_server_version", timeout=connect_seconds)
        except EngineError:
            self.close()
            raise
        self.embedded = "milvus_lite" in self.version
        number = re.search(r"(\d+)\.(\d+)", self.version)
        self.sparse = self.embedded or (number is not None and tuple(map(int, number.groups())) >= SPARSE_SINCE)

    def lacks(self) -> str:
        """What this engine cannot do, as a sentence; empty if nothing."""
        if self.sparse:
            return ""
        return f"{self.version} takes no sparse vectors: BM25 only re-ranks what dense similarity finds"

    def call(self, method: str, *args: Any, timeout: float = CALL_SECONDS, **options: Any) -> Any:
        """Call a method of pymilvus' client.

        Raises:
            NotFoundError: the collection or alias is not there.
            EngineError: the engine refuses, or does not answer within `timeout` seconds.
        """
        try:
            return getattr(self._client, method)(*args, timeout=timeout, **options)
        except Exception as error:  # MilvusException, grpc.RpcError, and ParamError and ValueError of its checks
            text = _first_line(error)
            missing = re.search(r"not found|can't find|not exist|does not exist", text) is not None
            raise (NotFoundError if missing else EngineError)(f"the engine refuses {method}: {text}") from None

    def load(self, collection: str, timeout: float = CALL_SECONDS) -> None:
        """Load a collection for searching, if this connection has not done so: milvus-lite forgets it when it stops."""
        if collection not in self._loaded:
            self.call("load_collection", collection, timeout=timeout)
            self._loaded.add(collection)

    def rows(self, collection: str, fields: list[str], where: str = "") -> list[dict[str, Any]]:
        """All rows of a collection that an expression holds for."""
        return [row for page in self.pages(collection, fields, where) for row in page]

    def pages(self, collection: str, fields: list[str], where: str = "") -> Iterator[list[dict[str, Any]]]:
        """The same in lists of at most PAGE; milvus-lite goes through all that it holds for each."""
        from pymilvus.exceptions import MilvusException

        if where:  # an iterator goes through all three times to find a few
            few = self.call("query", collection, filter=where, output_fields=fields, limit=PAGE)
            if len(few) < PAGE:
                yield few
                return
        try:
            iterator = self._client.query_iterator(collection, batch_size=PAGE, filter=where, output_fields=fields)
            while part := iterator.next():
                yield part
            iterator.close()
        except MilvusException as error:
            raise EngineError(f"the engine refuses to list {collection}: {_first_line(error)}") from None

    def close(self) -> None:
        """Close the connection."""
        self._client.close()


def _first_line(error: Exception) -> str:
    text = str(getattr(error, "message", "") or error)
    return " ".join(text.split("\n", maxsplit=1)[0].split())[:200]
