"""The retriever: answers from an engine that may be slow or down, each within its deadline.

Triton takes the answers of a batch together, so a batch waits for the engine until the longest of its deadlines. What
is not there by then is "late", and the call goes on without it. While such a call is overdue, every batch is "late" at
once: a second call would only wait behind the first. After a call that failed every batch is "unavailable" at once,
until the engine has been reached again in the background.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Literal, TypeAlias

import numpy as np
from malgil_core.documents.request import DocumentsRequest
from malgil_core.documents.types import Document

from documents.engine import Access, Engine, EngineError
from documents.search import Searcher

Status = Literal["ok", "late", "unavailable", "off"]
STATUSES: tuple[Status, ...] = ("ok", "late", "unavailable", "off")
Found: TypeAlias = list[list[Document]]  # for each query
CALL_SECONDS = 2.0  # after which a call of the engine is given up
CONNECT_SECONDS = 2.0
LOAD_SECONDS = 10.0  # of a collection, by an engine that has just started
RETRY_SECONDS = 0.5  # between two attempts to reach an engine
NEXT_SECONDS = 0.005  # a batch that comes so soon after another has waited for it


class Retriever:
    """Answers batches of requests. One thread calls `answer`; `close` it when done.

    Args:
        access: to the engine; None: there are no documents.
        encoder: fingerprint of the encoder that makes the queries' embeddings.
        log: called with a level, info or error, and a sentence, when the engine is reached and when it is lost.
    """

    def __init__(self, access: Access | None, encoder: str, log: Callable[[str, str], None]) -> None:
        self._access, self._encoder, self._log = access, encoder, log
        self._searcher: Searcher | None = None  # while the engine can be asked
        self._engine: Engine | None = None
        self._problem = ""  # the last that was logged
        self._overdue: Future[Found | None] | None = None
        self._ended, self._took = float("-inf"), 0.0  # of the last batch
        self._calls = ThreadPoolExecutor(1, thread_name_prefix="engine")
        self._stop = threading.Event()
        self._connecting = threading.Thread(target=self._keep_connected, name="connect", daemon=True)
        if access is not None:
            self._connecting.start()

    def answer(self, requests: Sequence[DocumentsRequest]) -> tuple[Status, list[Found]]:
        """The documents of each request, and one status for all; without documents unless it is "ok"."""
        if not requests:
            return "ok", []
        started = time.monotonic()
        waited = self._took if started - self._ended < NEXT_SECONDS else 0.0
        status, found = self._ask(requests, max(request.deadline for request in requests) - waited)
        self._ended = time.monotonic()
        self._took = self._ended - started
        answers, start = [], 0
        for request in requests:
            end = start + len(request.queries)
            answers.append(found[start:end])
            start = end
        return status, answers

    def close(self) -> None:
        """Stop the threads, and disconnect."""
        self._stop.set()
        if self._access is not None:
            self._connecting.join()
        self._calls.shutdown(cancel_futures=True)
        self._disconnect()

    def _ask(self, requests: Sequence[DocumentsRequest], seconds: float) -> tuple[Status, Found]:
        queries = [query for request in requests for query in request.queries]
        nothing: Found = [[] for _ in queries]
        if self._access is None:
            return "off", nothing
        if self._overdue is not None:
            if not self._overdue.done():
                return "late", nothing
            self._overdue = None
        searcher = self._searcher
        if searcher is None:
            return "unavailable", nothing
        embeddings = np.concatenate([request.embeddings for request in requests])
        options = [query for request in requests for query in request.options]
        call = self._calls.submit(self._call, lambda: searcher.search(queries, embeddings, options, CALL_SECONDS))
        wait([call], max(seconds, 0.0))
        if not call.done():
            self._overdue = call
            return "late", nothing
        return ("unavailable", nothing) if (found := call.result()) is None else ("ok", found)

    def _call(self, search: Callable[[], Found]) -> Found | None:
        """The answer of the engine; None if it fails, after which it is not asked before it is reached again."""
        try:
            return search()
        except Exception as error:  # whatever it is, services are found without documents
            self._note(error)
            self._searcher = None
            return None

    def _keep_connected(self) -> None:
        while True:
            searcher = self._searcher
            try:
                if searcher is None:
                    self._connect()
                else:
                    searcher.refresh(CALL_SECONDS)  # here, so that no query waits for it
            except Exception as error:  # as above
                self._note(error)
                self._searcher = None
            if self._stop.wait(RETRY_SECONDS):
                return

    def _connect(self) -> None:
        assert self._access
        self._disconnect()
        # pymilvus tries for six seconds and more whatever its timeout, and is not ready when the engine is.
        socket.create_connection(self._access.address(), timeout=1).close()
        self._engine = Engine(self._access, CONNECT_SECONDS)
        searcher = Searcher(self._engine, self._encoder)
        try:
            searcher.warm_up(LOAD_SECONDS)
        except BaseException:
            searcher.close()
            raise
        self._searcher = searcher
        self._problem = ""
        self._log("info", f"documents come from {self._engine.version} at {self._access.uri}")
        if sentence := self._engine.lacks():
            self._log("info", sentence)

    def _disconnect(self) -> None:
        engine, self._engine = self._engine, None
        if engine is not None:
            with contextlib.suppress(Exception):
                engine.close()

    def _note(self, error: Exception) -> None:
        """Log a failure, once until it is another."""
        sentence = str(error) if isinstance(error, EngineError) else f"{type(error).__name__}: {error}"
        if sentence != self._problem:
            self._problem = sentence
            self._log("error", f"documents are unavailable: {sentence}")
