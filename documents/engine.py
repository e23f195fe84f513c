"""The vector engine: milvus-lite on this machine or a Milvus server, by one code path.

What the engine lacks is found out when it is connected to, from its version: one without sparse vectors takes a
collection that has them, and crashes when it loads it (2.3.5).
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from documents.errors import DocumentsError

DEFAULT_URI = "http://127.0.0.1:19530"
SPARSE_SINCE = (2, 4)
CONNECT_SECONDS = 10.0
CALL_SECONDS = 60.0


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


class Engine:
    """A connection to an engine.

    Attributes:
        version: as the engine says it.
        embedded: whether it is milvus-lite.
        sparse: whether it takes sparse vectors.
    """

    def __init__(self, access: Access) -> None:
        try:
            address = urlsplit(access.uri)
            if address.scheme not in ("http", "https") or not address.hostname or not address.port:
                raise ValueError
        except ValueError:
            raise EngineError(
                f"the engine's address is {access.uri[:80]!r}: it must be http://HOST:PORT or https://HOST:PORT"
            ) from None
        from pymilvus import MilvusClient

        logging.getLogger("pymilvus").setLevel(logging.CRITICAL)  # it logs the traceback of each error it raises
        options: dict[str, Any] = {"server_pem_path": str(access.tls_ca)} if access.tls_ca else {}
        try:
            self._client = MilvusClient(uri=access.uri, token=access.token, timeout=CONNECT_SECONDS, **options)
        except Exception as error:  # MilvusException, grpc's, and ValueError of its parser
            raise EngineError(
                f"{access.uri}: no engine answers: {_first_line(error)}. Start one, such as "
                "`milvus-lite server --data-dir FOLDER --host 127.0.0.1 --port 19530`"
            ) from None
        self.version: str = self.call("get_server_version")
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

    def rows(self, collection: str, fields: list[str], where: str = "", batch: int = 1000) -> list[dict[str, Any]]:
        """All rows of a collection that an expression holds for."""
        from pymilvus.exceptions import MilvusException

        found: list[dict[str, Any]] = []
        try:
            iterator = self._client.query_iterator(collection, batch_size=batch, filter=where, output_fields=fields)
            while part := iterator.next():
                found += part
            iterator.close()
        except MilvusException as error:
            raise EngineError(f"the engine refuses to list {collection}: {_first_line(error)}") from None
        return found

    def close(self) -> None:
        """Close the connection."""
        self._client.close()


def _first_line(error: Exception) -> str:
    text = str(getattr(error, "message", "") or error)
    return " ".join(text.split("\n", maxsplit=1)[0].split())[:200]
