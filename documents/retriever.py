"""The retriever: answers from an engine that may be slow or down, each within its deadline.

Triton takes the answers of a batch together, so a batch waits for the engine until the first of the deadlines of those
that it is asked for. What is not there by then is "late", and the call goes on without it. While such a call is
overdue, every batch is "late" at once: a second call would only wait behind the first. After a call that failed every
batch is "unavailable" at once, until the engine has been reached again in the background.

Of a batch, the engine is asked for as many requests as it can answer in time, by what its calls took so far, those with
the most time left first; the others are "late". An engine that searches one query after another would have none of a
large batch in time, and one request that has waited long would let all others wait no longer than itself. An engine
that takes longer for a single query than there is time is asked now and then, to see whether it still does: it would
take a processor from the services for answers that nobody gets.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Literal, NamedTuple

import numpy as np
from malgil_core.documents.request import DocumentsRequest
from malgil_core.documents.types import Document

from documents.engine import Access, Engine, EngineError
from documents.search import Searcher

Status = Literal["ok", "late", "unavailable", "off"]
STATUSES: tuple[Status, ...] = ("ok", "late", "unavailable", "off")
CALL_SECONDS = 2.0  # after which a call of the engine is given up
CONNECT_SECONDS = 2.0
REACH_SECONDS = 1.0
LOAD_SECONDS = 10.0  # of a collection, by an engine that has just started
INDEX_SECONDS = 120.0  # of its sparse vectors; documents are found without them meanwhile
RETRY_SECONDS = 0.5  # between two attempts to reach an engine
FULL = 0.8  # share of the deadline that a call may be expected to take
SPARED = 5.0  # times what its last call took, for which an engine that is too slow is left alone
SPARED_SECONDS = 5.0  # at most


class Answer(NamedTuple):
    """Of one request.

    Attributes:
        status: for all of its queries.
        found: the documents of each query, best first.
    """

    status: Status
    found: list[list[Document]]


class Retriever:
    """Answers batches of requests. One thread calls `answer`; `close` it when done.

    Args:
        access: to the engine; None: there are no documents.
        encoder: fingerprint of the encoder that makes the queries' embeddings.
        log: called with a level, info or error, and a sentence, when the engine is reached and when it is lost; by
            other threads than that one.
    """

    def __init__(self, access: Access | None, encoder: str, log: Callable[[str, str], None]) -> None:
        self._access, self._encoder, self._log = access, encoder, log
        self._searcher: Searcher | None = None  # while the engine can be asked
        self._engine: Engine | None = None
        self._problem = ""  # the last that was logged
        self._overdue: Future[list[Answer]] | None = None
        self._cost = 0.0  # seconds that a query takes in a call of the engine
        self._spared_until = 0.0  # on the monotonic clock, unless the engine is expected to answer in time
        self._calls = ThreadPoolExecutor(1, thread_name_prefix="engine")
        self._stop = threading.Event()
        self._connecting = threading.Thread(target=self._keep_connected, name="connect", daemon=True)
        if access is not None:
            self._connecting.start()

    def answer(self, requests: Sequence[DocumentsRequest]) -> list[Answer]:
        """The documents of each request, and its status; without documents unless that is "ok"."""
        if not requests:
            return []
        now = time.monotonic()
        left = [request.left(now) for request in requests]
        searcher = self._searcher
        if (status := self._status(searcher)) is not None:
            return [_without(status, request) for request in requests]
        assert searcher
        answers = [_without("late", request) for request in requests]
        if chosen := self._in_time(requests, left, now):
            call = self._calls.submit(self._call, searcher, [requests[at] for at in chosen])
            wait([call], min(left[at] for at in chosen))
            if not call.done():
                self._overdue = call
            else:
                for at, answer in zip(chosen, call.result(), strict=True):
                    answers[at] = answer
        return answers

    def close(self) -> None:
        """Stop the threads, and disconnect."""
        self._stop.set()
        if self._access is not None:
            self._connecting.join(LOAD_SECONDS)  # it may wait for an index, until it is disconnected
        self._calls.shutdown(cancel_futures=True)
        self._disconnect()

    def _status(self, searcher: Searcher | None) -> Status | None:
        """The status of a batch that the engine is not asked for; None if it is asked."""
        if self._access is None:
            return "off"
        if self._overdue is not None and not self._overdue.done():
            return "late"
        self._overdue = None
        return "unavailable" if searcher is None else None

    def _in_time(self, requests: Sequence[DocumentsRequest], left: Sequence[float], now: float) -> list[int]:
        """Which requests the engine is expected to answer together before the first of their deadlines.

        Now and then one whatever is expected: without a call, what one takes would never be known again.
        """
        most_left = sorted((at for at in range(len(requests)) if left[at] > 0), key=lambda at: -left[at])
        chosen: list[int] = []
        seconds = 0.0
        for at in most_left:
            more = seconds + self._cost * len(requests[at].queries)
            if more <= (FULL if chosen else 1) * left[at]:  # else one with fewer queries may have its place
                chosen.append(at)
                seconds = more
        if not chosen and now >= self._spared_until:
            return most_left[:1]
        return chosen

    def _call(self, searcher: Searcher, requests: Sequence[DocumentsRequest]) -> list[Answer]:
        """The engine's answers; if it fails, it is not asked before it is reached again."""
        queries = [query for request in requests for query in request.queries]
        embeddings = np.concatenate([request.embeddings for request in requests])
        options = [query for request in requests for query in request.options]
        started = time.monotonic()
        try:
            found = searcher.search(queries, embeddings, options, CALL_SECONDS)
        except Exception as error:  # whatever it is, services are found without documents
            self._note(error)
            self._searcher = None
            return [_without("unavailable", request) for request in requests]
        ended = time.monotonic()
        self._cost += 0.3 * ((ended - started) / len(queries) - self._cost)
        self._spared_until = ended + min(SPARED * (ended - started), SPARED_SECONDS)
        answers, start = [], 0
        for request in requests:
            end = start + len(request.queries)
            answers.append(Answer("ok", found[start:end]))
            start = end
        return answers

    def _keep_connected(self) -> None:
        while True:
            searcher = self._searcher
            try:
                if searcher is None:
                    self._connect().warm_up_lexical(INDEX_SECONDS)
                else:
                    searcher.refresh(CALL_SECONDS)  # here, so that no query waits for it
            except Exception as error:  # as above
                self._note(error)
                self._searcher = None
            if self._stop.wait(RETRY_SECONDS):
                return

    def _connect(self) -> Searcher:
        assert self._access
        self._disconnect()
        # pymilvus tries for six seconds and more whatever its timeout, and is not ready when the engine is.
        if not self._access.is_answering(REACH_SECONDS):
            raise EngineError(f"no engine answers at {self._access.uri}")
        self._engine = Engine(self._access, CONNECT_SECONDS)
        searcher = Searcher(self._engine, self._encoder)
        try:
            searcher.warm_up(LOAD_SECONDS, lexical=False)
        except BaseException:
            searcher.close()
            raise
        self._cost, self._searcher = 0.0, searcher
        self._problem = ""
        self._log("info", f"documents come from {self._engine.version} at {self._access.uri}")
        if sentence := self._engine.lacks():
            self._log("info", sentence)
        return searcher

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


def _without(status: Status, request: DocumentsRequest) -> Answer:
    return Answer(status, [[] for _ in request.queries])
