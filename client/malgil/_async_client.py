"""The asyncio client: the methods of the blocking one, awaited."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from malgil._access import Tls
from malgil._base import DEFAULT_URL, PROBE, PROBE_TEXT, ClientBase, Kind, many_embed_inputs, many_search_inputs
from malgil._errors import MalgilError
from malgil._feedback import Feedback
from malgil._personal import PersonalLayer
from malgil._results import DocumentsResult, Hit, SearchResult, SuggestResult, UnifiedResult
from malgil._retry import check_count
from malgil._tensors import (
    DOCUMENT_OUTPUTS,
    EMBED_OUTPUTS,
    ENCODER_OUTPUTS,
    SEARCH_OUTPUTS,
    SUGGEST_OUTPUTS,
    Tensors,
    document_inputs,
    embed_inputs,
    read_documents,
    read_embedding,
    read_encoder,
    read_refusal,
    read_search,
    read_suggestions,
    search_inputs,
    service_outputs,
    suggest_inputs,
)
from malgil._tracking import Track
from malgil._transport import connect_async
from malgil._vectors import Choice

In = TypeVar("In")
Out = TypeVar("Out")


class AsyncSearchClient(ClientBase):
    """SearchClient for asyncio: same arguments, same errors, awaited methods. Use it in one event loop.

    Cancelling a task that awaits a call returns at once. Over gRPC the request itself still runs to completion on
    the server: Triton may crash when a call is cancelled.
    """

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        timeout: float = 5.0,
        retries: int = 2,
        search_model: str = "search",
        embed_model: str = "embed",
        documents_model: str = "documents",
        unified_model: str = "unified",
        suggest_model: str = "suggest",
        tls: Tls | None = None,
        key: str | None = None,
        feedback: Feedback | None = None,
    ) -> None:
        names = search_model, embed_model, documents_model, unified_model, suggest_model
        super().__init__(timeout, retries, *names, feedback, (url, tls, key))
        self._transport = connect_async(url, tls, key)

    async def __aenter__(self) -> AsyncSearchClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections. Later calls raise RuntimeError; closing twice is allowed.

        With feedback, events that wait are sent first, for at most its `close_timeout`.
        """
        if not self._closed:
            self._closed = True
            try:
                if self._feedback._enabled:
                    await asyncio.to_thread(self._feedback._close)
            finally:
                await self._transport.close()

    async def search(
        self,
        query: str,
        *,
        top_k: int | None = None,
        surface: str | None = None,
        min_score: float | None = None,
        null_phrases: bool | None = None,
        personal: PersonalLayer | None = None,
        explain: bool = False,
        timeout: float | None = None,
        person: str | None = None,
        search_id: str | None = None,
        variant: str = "",
    ) -> SearchResult:
        """The services that best match `query`, best first. Arguments as in SearchClient.search."""
        inputs = search_inputs(query, top_k, surface, min_score, null_phrases, personal)
        return await self._search(inputs, timeout, explain, self._feedback._track(inputs, person, search_id, variant))

    async def search_many(
        self,
        queries: Iterable[str],
        *,
        top_k: int | None = None,
        surface: str | None = None,
        min_score: float | None = None,
        null_phrases: bool | None = None,
        personal: PersonalLayer | None = None,
        explain: bool = False,
        timeout: float | None = None,
        concurrency: int = 32,
        person: str | None = None,
        variant: str = "",
    ) -> list[SearchResult]:
        """`search` for each query, as SearchClient.search_many; the first error cancels the queries under way."""
        inputs = many_search_inputs(queries, top_k, surface, min_score, null_phrases, personal)
        searches = [(each, self._feedback._track(each, person, None, variant)) for each in inputs]
        return await _map(lambda each: self._search(each[0], timeout, explain, each[1]), searches, concurrency)

    async def suggest(
        self, typed: str, *, top_k: int | None = 5, surface: str | None = None, timeout: float | None = None
    ) -> SuggestResult:
        """Texts that `typed` may become, best first, as SearchClient.suggest."""
        inputs = suggest_inputs(typed, top_k, surface)
        return read_suggestions(await self._infer(self._suggest_model, inputs, SUGGEST_OUTPUTS, timeout))

    async def search_documents(
        self,
        query: str,
        *,
        top_k: int | None = None,
        filter: Mapping[str, Any] | None = None,
        deadline_ms: int | None = None,
        timeout: float | None = None,
    ) -> DocumentsResult:
        """The articles that best match `query`, best first, with a status, as SearchClient.search_documents."""
        inputs = document_inputs(query, top_k, filter, deadline_ms)
        return read_documents(await self._infer(self._documents_model, inputs, DOCUMENT_OUTPUTS, timeout))

    async def search_all(
        self,
        query: str,
        *,
        top_k: int | None = None,
        surface: str | None = None,
        min_score: float | None = None,
        null_phrases: bool | None = None,
        personal: PersonalLayer | None = None,
        explain: bool = False,
        documents_top_k: int | None = None,
        documents_filter: Mapping[str, Any] | None = None,
        documents_deadline_ms: int | None = None,
        timeout: float | None = None,
        person: str | None = None,
        search_id: str | None = None,
        variant: str = "",
    ) -> UnifiedResult:
        """The services and the articles that best match `query`, in one call, as SearchClient.search_all."""
        services = search_inputs(query, top_k, surface, min_score, null_phrases, personal)
        documents = document_inputs(query, documents_top_k, documents_filter, documents_deadline_ms, "documents_")
        track = self._feedback._track(services, person, search_id, variant)
        outputs = (*service_outputs(explain, track.enabled), *DOCUMENT_OUTPUTS)
        return track.answered_all(await self._infer(self._unified_model, services | documents, outputs, timeout))

    async def embed(
        self, text: str | Sequence[str], *, kind: Kind = "query", timeout: float | None = None
    ) -> NDArray[np.float32]:
        """Unit vectors, float32 [D] for one text, [N, D] for a sequence. Arguments as in SearchClient.embed."""
        if isinstance(text, str):
            return await self._embed(embed_inputs(text, kind), timeout)
        inputs = many_embed_inputs(text, kind)
        rows = await _map(lambda each: self._embed(each, timeout), inputs, concurrency=32)
        return np.stack(rows) if rows else np.empty((0, 0), np.float32)

    async def ready(self, *, timeout: float | None = None) -> bool:
        """Whether a real search is answered in time, as SearchClient.ready."""
        try:
            await self.generation(timeout=timeout)
        except MalgilError:
            return False
        return True

    async def generation(self, *, timeout: float | None = None) -> int:
        """Number of the index generation that serves now, as SearchClient.generation."""
        return read_search(await self._infer(self._search_model, PROBE, SEARCH_OUTPUTS, timeout)).generation

    async def encoder(self, *, timeout: float | None = None) -> str:
        """Fingerprint of the server's encoder, as SearchClient.encoder."""
        return read_encoder(await self._infer(self._search_model, PROBE, ENCODER_OUTPUTS, timeout))

    async def new_layer(self, *, timeout: float | None = None) -> PersonalLayer:
        """A personal layer of zeros for the server's encoder, as SearchClient.new_layer."""
        encoder = await self.encoder(timeout=timeout)
        return PersonalLayer.zero((await self._embed(PROBE_TEXT, timeout)).size, encoder=encoder)

    async def learn(
        self,
        layer: PersonalLayer,
        query: str,
        hits: Sequence[Hit],
        chosen: Hit | int,
        *,
        timeout: float | None = None,
    ) -> PersonalLayer:
        """Teach a layer that `chosen` was meant by `query`, as SearchClient.learn."""
        choice = Choice.of(layer.encoder, query, hits, chosen)
        found = self._vectors.get(choice.texts)
        missing = [text for text in choice.texts if text not in found]
        inputs = [embed_inputs(text.text, text.kind) for text in missing]
        vectors = await _map(lambda each: self._embed(each, timeout), inputs, concurrency=32)
        new = dict(zip(missing, vectors, strict=True))
        self._vectors.put(new)
        return choice.taught(layer, found | new)

    async def _search(self, inputs: Tensors, timeout: float | None, explain: bool, track: Track) -> SearchResult:
        return track.answered(*(await self._ask(inputs, timeout, explain, track.enabled)))

    async def _ask(
        self, inputs: Tensors, timeout: float | None, explain: bool, reported: bool
    ) -> tuple[SearchResult, str]:
        """The answer, and why it is empty if it was refused, which is asked for with `reported`; makes no events."""
        found = await self._infer(self._search_model, inputs, service_outputs(explain, reported), timeout)
        return read_search(found), read_refusal(found)

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
    """`[await call(item) for item in items]` with `concurrency` workers; the first error cancels all workers."""
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
            worker.cancel()  # no effect on finished workers
        await asyncio.gather(*workers, return_exceptions=True)
    return [results[index] for index in range(len(items))]
