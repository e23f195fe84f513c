"""Set-up that scenarios of heavy load share: connections of their own, and how a server says that it is too much."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from grpc import aio

from tests.soak.wire import INFER


@contextlib.asynccontextmanager
async def connections(url: str, count: int) -> AsyncIterator[list[aio.UnaryUnaryMultiCallable]]:
    """ModelInfer over so many connections to gRPC's HOST:PORT; closed in the end."""
    options = [("grpc.use_local_subchannel_pool", 1)]  # else gRPC's channels share one connection
    async with contextlib.AsyncExitStack() as stack:
        channels = [await stack.enter_async_context(aio.insecure_channel(url, options)) for _ in range(count)]
        yield [channel.unary_unary(INFER) for channel in channels]


def is_overloaded(error: aio.AioRpcError) -> bool:
    """Whether the server refused a request because too many waited."""
    return error.code().name == "UNAVAILABLE" and "overloaded: " in (error.details() or "")
