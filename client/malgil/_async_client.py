"""The asyncio client: the same methods as the blocking one, awaited."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from types import TracebackType
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from malgil._access import Tls
from malgil._base import DEFAULT_URL, PROBE, ClientBase, Kind, many_embed_inputs, many_search_inputs
from malgil._errors import MalgilError
from malgil._results import SearchResult
from malgil._retry import check_count
from malgil._tensors import (
    EMBED_OUTPUTS,
    EXPLAINED_OUTPUTS,
    SEARCH_OUTPUTS,
    Tensors,
    embed_inputs,
    read_embedding,
    read_search,
    search_inputs,
)
from malgil._transport import connect_async

In = TypeVar("In")
Out = TypeVar("Out")


class AsyncSearchClient(ClientBase):
    """SearchClient for asyncio: same arguments, same errors, methods to be awaited. For one event loop.

    Cancelling the task that awaits a call ends the wait; over gRPC the call is left to end by itself (see _grpc.py).
    """

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        timeout: float = 5.0,
        retries: int = 2,
        search_model: str = "search",
        embed_model: str = "embed",
        tls: Tls | None = None,
        key: str | None = None,
    ) -> None:
        super().__init__(timeout, retries, search_model, embed_model)
        self._transport = connect_async(url, tls, key)

    async def __aenter__(self) -> AsyncSearchClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Drop the connections; calls after this raise RuntimeError. May be called twice."""
        if not self._closed:
            self._closed = True
            await self._transport.close()

    async def search(
        self,
        query: str,
        *,
        top_k: int | None = None,
        surface: str | None = None,
        min_score: float | None = None,
        explain: bool = False,
        timeout: float | None = None,
    ) -> SearchResult:
        """As SearchClient.search: the services that `query` may mean, best first."""
        return await self._search(search_inputs(query, top_k, surface, min_score), timeout, explain)

    async def search_many(
        self,
        queries: Iterable[str],
        *,
        top_k: int | None = None,
        surface: str | None = None,
        min_score: float | None = None,
        explain: bool = False,
        timeout: float | None = None,
        concurrency: int = 32,
    ) -> list[SearchResult]:
        """As SearchClient.search_many; on the first error the queries under way are cancelled."""
        inputs = many_search_inputs(queries, top_k, surface, min_score)
        return await _map(lambda each: self._search(each, timeout, explain), inputs, concurrency)

    async def embed(
        self, text: str | Sequence[str], *, kind: Kind = "query", timeout: float | None = None
    ) -> NDArray[np.float32]:
        """As SearchClient.embed: unit vectors, float32 [D] for one text, [N, D] for a sequence."""
        if isinstance(text, str):
            return await self._embed(embed_inputs(text, kind), timeout)
        inputs = many_embed_inputs(text, kind)
        rows = await _map(lambda each: self._embed(each, timeout), inputs, concurrency=32)
        return np.stack(rows) if rows else np.empty((0, 0), np.float32)

    async def ready(self, *, timeout: float | None = None) -> bool:
        """As SearchClient.ready: whether a real search is answered in time."""
        try:
            await self.generation(timeout=timeout)
        except MalgilError:
            return False
        return True

    async def generation(self, *, timeout: float | None = None) -> int:
        """As SearchClient.generation: number of the index generation that serves now."""
        return (await self._search(PROBE, timeout)).generation

    async def _search(self, inputs: Tensors, timeout: float | None, explain: bool = False) -> SearchResult:
        outputs = EXPLAINED_OUTPUTS if explain else SEARCH_OUTPUTS
        return read_search(await self._infer(self._search_model, inputs, outputs, timeout))

    async def _embed(self, inputs: Tensors, timeout: float | None) -> NDArray[np.float32]:
        return read_embedding(await self._infer(self._embed_model, inputs, EMBED_OUTPUTS, timeout))

    async def _infer(self, model: str, inputs: Tensors, outputs: Sequence[str], timeout: float | None) -> Tensors:
        deadline = self._deadline(timeout)
        attempt = 0
        while True:
            try:
                return await self._transport.infer(model, inputs, outputs, deadline)
            except MalgilError as error:
                pause = self._backoff.pause(attempt, error, deadline.left())
                if pause is None:
                    raise
            await asyncio.sleep(pause)
            attempt += 1


async def _map(call: Callable[[In], Awaitable[Out]], items: Sequence[In], concurrency: int) -> list[Out]:
    """[await call(item) for item in items], by so many workers; on an error all of them are cancelled."""
    check_count("concurrency", concurrency, 1)
    results: dict[int, Out] = {}
    waiting = deque(enumerate(items))

    async def work() -> None:
        while waiting:
            index, item = waiting.popleft()
            results[index] = await call(item)

    workers = [asyncio.ensure_future(work()) for _ in range(min(concurrency, len(items)))]
    try:
        await asyncio.gather(*workers)
    finally:
        waiting.clear()
        for worker in workers:
            worker.cancel()  # does nothing to those that have ended
        await asyncio.gather(*workers, return_exceptions=True)
    return [results[index] for index in range(len(items))]
