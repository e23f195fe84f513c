"""The blocking client."""

from __future__ import annotations

import contextvars
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
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
from malgil._transport import connect
from malgil._vectors import Choice

In = TypeVar("In")
Out = TypeVar("Out")


class SearchClient(ClientBase):
    """Blocking client of a Malgil server. Thread-safe; make one and keep it.

    `url`: "HOST:PORT" or "grpc://HOST:PORT" for gRPC (Triton's port 8001), "http://HOST:PORT" for HTTP
    (8000); "grpcs://" and "https://" for the same over TLS. `timeout`: seconds that a call may take, retries
    included; each method can override it. `retries`: how often a call is repeated, with exponential back-off,
    when the server's queue is full or no connection could be made. No other failure is repeated: the request may
    be what broke the server. `search_model`, `embed_model`, `documents_model`, `unified_model`, `suggest_model`: names
    of models on the server.
    `tls`: the authorities to trust and the client's certificate. `key`: the server's key, where it requires one;
    without TLS it travels unencrypted. `feedback`: report searches and choices to the server, in the background; None
    reports nothing.

    Over HTTP each phase of an attempt (connect, send, wait) may take what is left of `timeout`, so a call that is
    slow in several phases can take longer; over gRPC, and in AsyncSearchClient, the limit is exact.

    Each request carries the trace context of the caller's active OpenTelemetry span, if there is one.

    Connects on first use. Raises ValueError for a malformed `url`, `timeout`, `retries` or `key`, and for
    certificates that cannot be read. Every method that sends a request raises MalgilError (malgil._errors has the
    tree), or RuntimeError on a closed client.
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
        self._transport = connect(url, tls, key)

    def __enter__(self) -> SearchClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections. Later calls raise RuntimeError; closing twice is allowed.

        With feedback, events that wait are sent first, for at most its `close_timeout`.
        """
        if not self._closed:
            self._closed = True
            self._feedback._close()
            self._transport.close()

    def search(
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
        """The services that best match `query`, best first.

        `top_k`: maximum number of hits, 1…1000; None takes the server's default (10). `surface`: only services
        exposed on that surface, such as "RECO". `min_score`: only hits with at least this score, on the scale of
        the server's encoder. `null_phrases`: False answers also a query that is nearer to what the app does not do.
        `personal`: a layer that orders the hits, of the server's encoder (`new_layer`).
        `explain`: fill in `dense` and `lexical` of each hit, and `refused_by` and `null` of the result. `timeout`:
        seconds, instead of the client's.

        For feedback: `person`: the app's id of who searches, which never leaves the client: events carry a hash.
        `search_id`: one id of new_search_id() for all keystrokes of a search; None makes one for this search alone.
        `variant`: what the search is a variant of, if the app compares variants by itself; else Experiment says it.

        The server checks values (BadRequest); a wrong type raises TypeError before anything is sent.
        """
        inputs = search_inputs(query, top_k, surface, min_score, null_phrases, personal)
        return self._search(inputs, timeout, explain, self._feedback._track(inputs, person, search_id, variant))

    def search_many(
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
        """`search` for each query, at most `concurrency` at a time; results in the order of the queries.

        The server batches requests that arrive together. `timeout` (seconds) applies to each query separately,
        from when it is sent. After an error no further query is sent; it is raised once those under way have
        finished. For feedback each query is a search session of its own.
        """
        inputs = many_search_inputs(queries, top_k, surface, min_score, null_phrases, personal)
        searches = [(each, self._feedback._track(each, person, None, variant)) for each in inputs]
        return _map(lambda each: self._search(each[0], timeout, explain, each[1]), searches, concurrency)

    def suggest(
        self, typed: str, *, top_k: int | None = 5, surface: str | None = None, timeout: float | None = None
    ) -> SuggestResult:
        """Texts that `typed`, as it is being typed, may become, each with the service that it leads to; best first.

        They are phrases and names of services, and what people typed before them, where the server was given that:
        what they chose most comes first. Half-typed syllables, initials, the wrong keyboard layout and slips count as
        in `search`. `typed` itself is not among them. `top_k`: maximum number, 1…20; None takes the server's default
        (5). `surface`: only services exposed on that surface. `timeout`: seconds, instead of the client's.
        """
        inputs = suggest_inputs(typed, top_k, surface)
        return read_suggestions(self._infer(self._suggest_model, inputs, SUGGEST_OUTPUTS, timeout))

    def search_documents(
        self,
        query: str,
        *,
        top_k: int | None = None,
        filter: Mapping[str, Any] | None = None,
        deadline_ms: int | None = None,
        timeout: float | None = None,
    ) -> DocumentsResult:
        """The articles that best match `query`, best first, and the status of the search for them.

        Always an answer while the server works: where its engine does not, or not in time, the result is empty and
        its `status` says why. `top_k`: maximum number of documents, 1…20; None takes the server's default (5).
        `filter`: only documents that fit {"category": one or a list, "surface", "updated_from", "updated_to"}, each
        of which may be left out; dates are YYYY-MM-DD. `deadline_ms`: milliseconds to wait for the engine, 1…10000,
        less than `timeout`; None takes the server's (150). `timeout`: seconds, instead of the client's.
        """
        inputs = document_inputs(query, top_k, filter, deadline_ms)
        return read_documents(self._infer(self._documents_model, inputs, DOCUMENT_OUTPUTS, timeout))

    def search_all(
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
        """The services and the articles that best match `query`, in one call and for one encoding.

        The first options are those of `search` and concern services only; those of documents are as in
        `search_documents`. The services wait for the documents: `documents_deadline_ms` bounds how long.
        """
        services = search_inputs(query, top_k, surface, min_score, null_phrases, personal)
        documents = document_inputs(query, documents_top_k, documents_filter, documents_deadline_ms, "documents_")
        track = self._feedback._track(services, person, search_id, variant)
        outputs = (*service_outputs(explain, track.enabled), *DOCUMENT_OUTPUTS)
        return track.answered_all(self._infer(self._unified_model, services | documents, outputs, timeout))

    def embed(
        self, text: str | Sequence[str], *, kind: Kind = "query", timeout: float | None = None
    ) -> NDArray[np.float32]:
        """Unit vectors: float32 [D] for one text, [N, D] for a sequence of N ([0, 0] for none).

        `kind`: the encoder's prompt to prepend. `timeout`: seconds for each text. Errors as in `search_many`.
        """
        if isinstance(text, str):
            return self._embed(embed_inputs(text, kind), timeout)
        rows = _map(lambda each: self._embed(each, timeout), many_embed_inputs(text, kind), concurrency=32)
        return np.stack(rows) if rows else np.empty((0, 0), np.float32)

    def ready(self, *, timeout: float | None = None) -> bool:
        """Whether a real search is answered in time (`timeout`: seconds). Never raises MalgilError.

        Triton's readiness endpoint does not tell: it still reports ready after a model's process has died. An
        overloaded server counts as not ready.
        """
        try:
            self.generation(timeout=timeout)
        except MalgilError:
            return False
        return True

    def generation(self, *, timeout: float | None = None) -> int:
        """Number of the index generation that serves now, from a real search. `timeout`: seconds."""
        return read_search(self._infer(self._search_model, PROBE, SEARCH_OUTPUTS, timeout)).generation

    def encoder(self, *, timeout: float | None = None) -> str:
        """Fingerprint of the server's encoder, 64 hexadecimal digits: a personal layer is of one encoder."""
        return read_encoder(self._infer(self._search_model, PROBE, ENCODER_OUTPUTS, timeout))

    def new_layer(self, *, timeout: float | None = None) -> PersonalLayer:
        """A personal layer of zeros for the server's encoder. `timeout`: seconds for each of two requests."""
        encoder = self.encoder(timeout=timeout)
        return PersonalLayer.zero((self._embed(PROBE_TEXT, timeout)).size, encoder=encoder)

    def learn(
        self,
        layer: PersonalLayer,
        query: str,
        hits: Sequence[Hit],
        chosen: Hit | int,
        *,
        timeout: float | None = None,
    ) -> PersonalLayer:
        """Teach a layer that `chosen` was meant by `query`, of these `hits`, which a search has shown in this order.

        `hits`: the search's result. `chosen`: one of them, or its place from 0. Asks the server for the vectors of the
        query and of the hits down to the next after the choice, but for those of earlier calls (2,048 are kept).
        Returns the layer, changed. Raises ValueError for a hit that is not among them.
        """
        choice = Choice.of(layer.encoder, query, hits, chosen)
        found = self._vectors.get(choice.texts)
        missing = [text for text in choice.texts if text not in found]
        inputs = [embed_inputs(text.text, text.kind) for text in missing]
        vectors = _map(lambda each: self._embed(each, timeout), inputs, concurrency=32)
        new = dict(zip(missing, vectors, strict=True))
        self._vectors.put(new)
        return choice.taught(layer, found | new)

    def _search(self, inputs: Tensors, timeout: float | None, explain: bool, track: Track) -> SearchResult:
        return track.answered(*self._ask(inputs, timeout, explain, track.enabled))

    def _ask(self, inputs: Tensors, timeout: float | None, explain: bool, reported: bool) -> tuple[SearchResult, str]:
        """The answer, and why it is empty if it was refused, which is asked for with `reported`; makes no events."""
        found = self._infer(self._search_model, inputs, service_outputs(explain, reported), timeout)
        return read_search(found), read_refusal(found)

    def _embed(self, inputs: Tensors, timeout: float | None) -> NDArray[np.float32]:
        return read_embedding(self._infer(self._embed_model, inputs, EMBED_OUTPUTS, timeout))

    def _infer(self, model: str, inputs: Tensors, outputs: Sequence[str], timeout: float | None) -> Tensors:
        deadline = self._deadline(timeout)
        attempt = 0
        while True:
            try:
                return self._transport.infer(model, inputs, outputs, deadline)
            except MalgilError as error:
                pause = self._backoff.pause(attempt, error, deadline.left())
                if pause is None:
                    raise
            time.sleep(pause)
            attempt += 1


def _map(call: Callable[[In], Out], items: Sequence[In], concurrency: int) -> list[Out]:
    """`[call(item) for item in items]` in `concurrency` threads; after an error no further call starts."""
    check_count("concurrency", concurrency, 1)
    if not items:
        return []
    with ThreadPoolExecutor(min(concurrency, len(items)), "malgil") as pool:
        # Each in a copy of the caller's context, which has its trace.
        futures = [pool.submit(contextvars.copy_context().run, call, item) for item in items]
        try:
            done, _ = wait(futures, return_when=FIRST_EXCEPTION)
            for future in done:
                future.result()  # raises the first error
            return [future.result() for future in futures]
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
