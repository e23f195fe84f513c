"""The blocking client."""

from __future__ import annotations

import contextvars
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
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
from malgil._transport import connect

In = TypeVar("In")
Out = TypeVar("Out")


class SearchClient(ClientBase):
    """Asks a Malgil server and waits for the answer. Thread-safe; make one and keep it.

    `url`: "HOST:PORT" or "grpc://HOST:PORT" for gRPC (Triton's port 8001), "http://HOST:PORT" for HTTP
    (8000); "grpcs://" and "https://" for the same over TLS. `timeout`: seconds that a call may take, its retries
    included; each method can override it. `retries`: how often a call is repeated, with exponential back-off,
    when the server's queue is full or no connection could be made. Nothing else is repeated: a request that was
    sent may be what broke the server. `search_model`, `embed_model`: names of the models on the server. `tls`:
    which servers to trust over TLS, and this client's own certificate. `key`: the server's key, where it asks
    for one; without TLS whoever is on the way can read it.

    Over HTTP the deadline is kept by each phase of an attempt (connecting, sending, waiting), so that a server
    slow in several can overrun it; over gRPC, and in AsyncSearchClient, it is exact.

    Where the caller has an active OpenTelemetry span, its trace context goes along with each request.

    Connects on first use. Raises ValueError for a malformed `url`, `timeout`, `retries` or `key`, and for
    certificates that cannot be read. Every method that
    asks the server raises MalgilError (malgil._errors has the tree), or RuntimeError on a closed client.
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
        self._transport = connect(url, tls, key)

    def __enter__(self) -> SearchClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Drop the connections; calls after this raise RuntimeError. May be called twice."""
        if not self._closed:
            self._closed = True
            self._transport.close()

    def search(
        self,
        query: str,
        *,
        top_k: int | None = None,
        surface: str | None = None,
        min_score: float | None = None,
        explain: bool = False,
        timeout: float | None = None,
    ) -> SearchResult:
        """The services that `query` may mean, best first.

        `top_k`: most hits to return, 1…1000; None leaves it to the server (10). `surface`: only services
        shown there, such as "RECO". `min_score`: only hits that score at least this, on the scale of the
        server's encoder. `explain`: hits also say what their scores are made of. `timeout`: seconds, instead
        of the client's.

        Values are judged by the server (BadRequest); wrong types raise TypeError here.
        """
        return self._search(search_inputs(query, top_k, surface, min_score), timeout, explain)

    def search_many(
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
        """`search` for each query, `concurrency` at a time; results in the order of the queries.

        The server makes batches of what arrives together. `timeout` (seconds) holds for each query by itself,
        from when it is sent. The first error is raised once the queries under way have ended; those not yet
        begun are not sent.
        """
        inputs = many_search_inputs(queries, top_k, surface, min_score)
        return _map(lambda each: self._search(each, timeout, explain), inputs, concurrency)

    def embed(
        self, text: str | Sequence[str], *, kind: Kind = "query", timeout: float | None = None
    ) -> NDArray[np.float32]:
        """Unit vectors: float32 [D] for one text, [N, D] for a sequence of N ([0, 0] for none).

        `kind`: which of the encoder's prompts to put before the text. `timeout`: seconds for each text.
        Errors as in `search_many`.
        """
        if isinstance(text, str):
            return self._embed(embed_inputs(text, kind), timeout)
        rows = _map(lambda each: self._embed(each, timeout), many_embed_inputs(text, kind), concurrency=32)
        return np.stack(rows) if rows else np.empty((0, 0), np.float32)

    def ready(self, *, timeout: float | None = None) -> bool:
        """Whether a real search is answered in time (`timeout`: seconds); no failure of the server raises.

        Not the server's own readiness flag: Triton goes on saying ready after a model's process has died.
        An overloaded server is not ready either.
        """
        try:
            self.generation(timeout=timeout)
        except MalgilError:
            return False
        return True

    def generation(self, *, timeout: float | None = None) -> int:
        """Number of the index generation that serves now, learnt by a real search. `timeout`: seconds."""
        return self._search(PROBE, timeout).generation

    def _search(self, inputs: Tensors, timeout: float | None, explain: bool = False) -> SearchResult:
        outputs = EXPLAINED_OUTPUTS if explain else SEARCH_OUTPUTS
        return read_search(self._infer(self._search_model, inputs, outputs, timeout))

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
    """[call(item) for item in items], by threads; on an error those not yet begun never begin."""
    check_count("concurrency", concurrency, 1)
    if not items:
        return []
    with ThreadPoolExecutor(min(concurrency, len(items)), "malgil") as pool:
        # Each in a copy of the caller's context, which tells of its trace.
        futures = [pool.submit(contextvars.copy_context().run, call, item) for item in items]
        try:
            done, _ = wait(futures, return_when=FIRST_EXCEPTION)
            for future in done:
                future.result()  # raises what ended the wait early
            return [future.result() for future in futures]
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
