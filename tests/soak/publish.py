"""Scenario `publish`: clients search without pause while one generation after the other takes over."""

from __future__ import annotations

import random
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import malgil
import numpy as np
from malgil import SearchResult
from malgil._tensors import EXPLAINED_OUTPUTS, read_search
from malgil_core.encoder import EncoderMetadata
from malgil_core.index import history
from malgil_core.index.writer import next_number, publish
from tritonclient import grpc
from tritonclient.utils import np_to_triton_dtype

from export.catalog import embedding
from export.options import KEEP
from server.launcher import Server
from server.triton import SetupError
from tests.soak.catalogs import SURFACE, TOPICS, Asked, Marked

SERVES_WITHIN = 2.0  # seconds from a publish that returned to the first answer of its generation
GIVE_UP = 10.0  # seconds after which that is not waited for any longer
LONGEST_PAUSE = 0.5  # between publishes, so that they meet the scorer's looks at CURRENT at every phase
MANY = 8  # queries of a client batch, or at a time
TOP_K = (None, 1, 3, 10, 50)  # 50: all that there are

MOST_PROBLEMS = 5  # that are told in words

Answer = tuple[Asked, SearchResult]
Ask = Callable[[random.Random], Sequence[list[Answer] | Exception]]  # sends requests; what came of each


@dataclass(frozen=True)
class Publish:
    """Figures of publishes, as clients saw them.

    Attributes:
        count: publishes, each under a number of its own.
        requests: that were sent meanwhile; a client batch is one.
        failed: requests that were not answered, for whatever reason; nothing is tried twice.
        torn: requests whose answers do not all belong to the one generation that they name.
        backwards: answers from an older generation than the same client had seen before it asked.
        late: generations of which no answer came within SERVES_WITHIN.
        slowest_s: the longest from a publish that returned to the first answer of its generation, seconds; GIVE_UP
            where none came.
        median_s: the median of these.
        problems: the first few failures and faults, in words.
    """

    count: int
    requests: int
    failed: int
    torn: int
    backwards: int
    late: int
    slowest_s: float
    median_s: float
    problems: tuple[str, ...]


def run(
    server: Server,
    index: Path,
    repository: Path,
    publishes: int = 100,
    advance: Callable[[int, int], None] = lambda done, total: None,
) -> Publish:
    """Publish to a running server, one generation after the other, and judge every answer meanwhile.

    Args:
        server: it runs, and serves from `index`.
        index: its index folder, which is left with generations of this run: not one that anybody needs.
        repository: its model repository.
        publishes: how many.
        advance: called with (publishes done, publishes in all).

    Raises:
        server.triton.SetupError: the server does not take up the first generation, or ended.
    """
    metadata = EncoderMetadata.of(repository)
    embed, ledger = embedding.offline(repository), Ledger()

    def one() -> tuple[int, float]:
        """Publish; the generation's number, and when that was done."""
        number = next_number(index)
        ledger.expect(Marked(number))
        if publish(Marked(number).services, index, metadata, embed) != number:
            raise SetupError(f"{index}: another process publishes there too")
        returned = time.monotonic()
        history.collect(index, KEEP)  # as the command does
        return number, returned

    with malgil.SearchClient(server.grpc_url) as client:
        number, returned = one()
        while not _serves(client, number):
            if time.monotonic() > returned + GIVE_UP:
                raise SetupError(f"{server.grpc_url} does not take up what is published into {index}")
            time.sleep(0.05)
    rng, delays = random.Random(0), []
    with _searching(server, ledger):
        for done in range(publishes):
            advance(done, publishes)
            number, returned = one()
            delays.append(ledger.first_answer(number, returned + GIVE_UP) - returned)
            if server.process.poll() is not None:
                raise SetupError(f"tritonserver ended with {server.process.returncode}, {done + 1} publishes done")
            time.sleep(rng.uniform(0, LONGEST_PAUSE))
    advance(publishes, publishes)
    return Publish(
        count=publishes,
        requests=ledger.requests,
        failed=ledger.failed,
        torn=ledger.torn,
        backwards=ledger.backwards,
        late=sum(delay > SERVES_WITHIN for delay in delays),
        slowest_s=max(delays),
        median_s=statistics.median(delays),
        problems=tuple(ledger.problems),
    )


class Ledger:
    """Expected answers, and counts of those that came. Its methods may be called by several threads."""

    def __init__(self) -> None:
        self.requests = self.failed = self.torn = self.backwards = 0
        self.problems: list[str] = []
        self._expected: dict[int, Marked] = {}
        self._newest = 0
        self._changed = threading.Condition()

    def expect(self, catalog: Marked) -> None:
        """A generation that is about to be published."""
        self._expected[catalog.number] = catalog

    def failure(self, error: Exception) -> None:
        """A request was not answered."""
        with self._changed:
            self.requests += 1
            self.failed += 1
            self._note(f"{type(error).__name__}: {error}")

    def request(self, answers: Sequence[Answer], seen: int) -> int:
        """A request was answered.

        Args:
            answers: one, or those of a client batch.
            seen: the newest generation that this client knew when it asked.

        Returns:
            The newest generation that it knows now.
        """
        generations = [result.generation for _, result in answers]
        faults = [self._fault(*answer) for answer in answers]
        if len(set(generations)) > 1:
            faults.append(f"one batch is answered from the generations {sorted(set(generations))}")
        with self._changed:
            self.requests += 1
            if any(faults):
                self.torn += 1
                self._note(next(filter(None, faults)))
            if min(generations) < seen:
                self.backwards += 1
                self._note(f"an answer from generation {min(generations)} after one from {seen}")
            if max(generations) > self._newest:
                self._newest = max(generations)
                self._changed.notify_all()
        return max(seen, *generations)

    def first_answer(self, number: int, deadline: float) -> float:
        """Wait for an answer of this generation, or a later one; when it came, or the deadline (`time.monotonic`)."""
        with self._changed:
            self._changed.wait_for(lambda: self._newest >= number, max(deadline - time.monotonic(), 0))
            return time.monotonic() if self._newest >= number else deadline

    def _fault(self, asked: Asked, result: SearchResult) -> str | None:
        expected = self._expected.get(result.generation)
        fault = expected.fault(asked, result) if expected else "was never published"
        return fault and f"generation {result.generation}: {fault}"

    def _note(self, sentence: str | None) -> None:
        if sentence and len(self.problems) < MOST_PROBLEMS:
            self.problems.append(sentence)


@contextmanager
def _searching(server: Server, ledger: Ledger) -> Iterator[None]:
    """Clients that search without pause for as long as this lasts."""
    stop = threading.Event()

    def follow(ask: Ask, rng: random.Random) -> None:
        seen = 0
        while not stop.is_set():
            newest = seen
            for answers in ask(rng):
                if isinstance(answers, Exception):
                    ledger.failure(answers)
                    time.sleep(0.05)  # a server that is gone fails thousands of requests a second
                else:
                    newest = max(newest, ledger.request(answers, seen))
            seen = newest

    with ExitStack() as stack:
        plain, explained, http, many = (
            stack.enter_context(malgil.SearchClient(url, retries=0))
            for url in (server.grpc_url, server.grpc_url, server.http_url, server.grpc_url)
        )
        batches = stack.enter_context(grpc.InferenceServerClient(server.grpc_url))
        pool = stack.enter_context(ThreadPoolExecutor(MANY))
        asks: list[Ask] = [
            lambda rng: [_single(plain, _asked(rng), False)],
            lambda rng: [_single(explained, _asked(rng), True)],
            lambda rng: [_single(http, _asked(rng), True)],
            lambda rng: list(pool.map(lambda one: _single(many, one, True), [_asked(rng) for _ in range(MANY)])),
            lambda rng: [_batch(batches, [_asked(rng) for _ in range(MANY)])],
        ]
        threads = [
            threading.Thread(target=follow, args=(ask, random.Random(i)), daemon=True) for i, ask in enumerate(asks)
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stop.set()
            for thread in threads:
                thread.join()


def _serves(client: malgil.SearchClient, number: int) -> bool:
    try:
        return client.generation() == number
    except malgil.Unavailable:  # nothing is published yet, as far as the server knows
        return False


def _asked(rng: random.Random) -> Asked:
    return Asked(rng.choice(TOPICS), rng.choice(TOP_K), rng.choice((None, None, SURFACE)))


def _single(client: malgil.SearchClient, asked: Asked, explain: bool) -> list[Answer] | Exception:
    try:
        result = client.search(asked.query, top_k=asked.top_k, surface=asked.surface, explain=explain)
    except Exception as error:  # whatever it was, a user would have had no answer
        return error
    return [(asked, result)]


def _batch(client: Any, many: Sequence[Asked]) -> list[Answer] | Exception:
    """One request with several queries, each with a top_k of its own; the client sends no such batches."""
    some = [Asked(asked.query, asked.top_k or 10) for asked in many]
    tensors = {
        "query": np.array([[asked.query.encode()] for asked in some], dtype=np.object_),
        "top_k": np.array([[asked.top_k] for asked in some], dtype=np.int32),
    }
    inputs = [grpc.InferInput(name, array.shape, np_to_triton_dtype(array.dtype)) for name, array in tensors.items()]
    for tensor, array in zip(inputs, tensors.values(), strict=True):
        tensor.set_data_from_numpy(array)
    try:
        result = client.infer("search", inputs, client_timeout=5)
        outputs = {name: result.as_numpy(name) for name in EXPLAINED_OUTPUTS}
        rows = [read_search({name: array[i : i + 1] for name, array in outputs.items()}) for i in range(len(some))]
    except Exception as error:  # as above
        return error
    return list(zip(some, rows, strict=True))
