"""Connections that send bytes as they are, and read what comes back."""

from __future__ import annotations

import asyncio
import io
import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import grpc
import yarl

from tests.soak.fuzz.answers import Answer, read_grpc, read_http
from tests.soak.fuzz.statuses import CLOSED, status
from tests.soak.wire import HEADER_LENGTH, Message

DEADLINE = 30.0  # seconds: no answer by then is a crash
PATIENCE = 0.3  # seconds that we wait for an answer to half a request before we close
CHANNELS = 4
LARGE = 2**20  # bytes of a body
OPTIONS = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.use_local_subchannel_pool", 1),  # a connection of its own for each channel
)


@dataclass(frozen=True)
class Reply:
    """What came back: a status of `statuses`, and the body or the error's text."""

    status: str
    detail: str = ""
    body: bytes = b""
    headers: Mapping[str, str] | None = field(default=None, repr=False)  # None for gRPC
    late: bool = False

    def answer(self) -> Answer:
        """The outputs of a good answer."""
        if self.headers is None:
            return read_grpc(self.body)
        return read_http(self.body, int(self.headers[HEADER_LENGTH]))


class Sender:
    """Connections to one server."""

    def __init__(self, grpc_url: str, http_url: str) -> None:
        self._grpc_url, self._http_url = grpc_url, http_url

    async def __aenter__(self) -> Sender:
        channels = [grpc.aio.insecure_channel(self._grpc_url, options=OPTIONS) for _ in range(CHANNELS)]
        self._channels, self._turn = channels, itertools.cycle(channels)
        self._http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(DEADLINE), auto_decompress=False
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.close()
        for channel in self._channels:
            await channel.close()

    async def send(self, message: Message) -> Reply:
        """Send one message and wait for what comes back; never raises for what a server does."""
        if message.grpc:
            return await self._send_grpc(message)
        try:
            async with asyncio.timeout(DEADLINE):
                return await (self._send_raw(message) if message.raw else self._send_http(message))
        except TimeoutError:
            return Reply("late", f"{DEADLINE:.0f} s", late=True)
        except (aiohttp.ClientError, OSError) as error:
            return Reply(CLOSED, repr(error))

    async def _send_grpc(self, message: Message) -> Reply:
        call = next(self._turn).unary_unary(message.path)
        try:
            body = await call(message.body, timeout=DEADLINE, metadata=message.headers)
        except grpc.aio.AioRpcError as error:
            name, detail = error.code().name, error.details() or ""
            return Reply(status(name, detail), detail, late=name == "DEADLINE_EXCEEDED")
        return Reply("OK", body=body)

    async def _send_http(self, message: Message) -> Reply:
        url = yarl.URL(self._http_url + message.path, encoded=True)
        headers = {"Accept-Encoding": "identity", **dict(message.headers)}
        # aiohttp warns of large bytes, which it would write at once.
        data = io.BytesIO(message.body) if len(message.body) > LARGE else message.body
        async with self._http.request(message.method, url, data=data, headers=headers) as response:
            body = await response.read()
            if response.status == 200:
                return Reply("200", body=body, headers=response.headers)
            detail = _error(body)
            return Reply(status(str(response.status), detail), detail)

    async def _send_raw(self, message: Message) -> Reply:
        """Over a connection of its own, closed by us if the server waits for more."""
        where = urlsplit(self._http_url)
        reader, writer = await asyncio.open_connection(where.hostname, where.port)
        try:
            writer.write(message.body)
            await writer.drain()
            async with asyncio.timeout(PATIENCE if message.cut else DEADLINE):
                line = await reader.readline()
        except TimeoutError:
            return Reply(CLOSED, "the server waits for more") if message.cut else Reply("late", late=True)
        finally:
            writer.close()
        words = line.split()
        return Reply(words[1].decode()) if len(words) > 1 else Reply(CLOSED, repr(line))


def _error(body: bytes) -> str:
    try:
        found: Any = json.loads(body)
        return str(found["error"])
    except (ValueError, KeyError, TypeError):
        return body[:300].decode(errors="replace")
