"""`unified` beside `search`, with the engine healthy, slow and killed."""

from __future__ import annotations

import re
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import malgil

from benchmarks import perf_analyzer
from benchmarks.documents.proxy import Proxy
from documents.retriever import STATUSES
from server.launcher import Server

SLOW_SECONDS = 1.0
ROUNDING = 1e-4  # of scores: batches of other sizes change their last digits
SECONDS = 120.0  # after which a load is given up
_ANSWERS = re.compile(r'^malgil_documents_total\{.*?status="(\w+)".*?\} (\S+)$', re.MULTILINE)


@dataclass
class Load:
    """Clients of one model, each sending the next query when the last is answered: milliseconds, and answers."""

    model: str
    engine: str
    clients: int
    p50: float
    p99: float
    rate: float
    statuses: dict[str, int]

    def to_json(self) -> dict[str, Any]:
        """As it is recorded."""
        return asdict(self)


@dataclass
class Kill:
    """What clients saw while the engine was killed and started again.

    Attributes:
        requests: sent to unified.
        failed: of these.
        slowest: milliseconds of the slowest answer.
        deadline: milliseconds that each asked for.
        changed: answers whose services were not those of before.
        statuses: of the documents.
        back: seconds from when the engine listened again until the first answer with documents.
    """

    requests: int
    failed: int
    slowest: float
    deadline: float
    changed: int
    statuses: dict[str, int]
    back: float

    def to_json(self) -> dict[str, Any]:
        """As it is recorded."""
        return asdict(self)


def loads(
    server: Server, proxy: Proxy, queries: Path, requests: Mapping[int, int], say: Callable[[str], None]
) -> list[Load]:
    """Measure both models with the engine healthy, slow and unreachable, in that order.

    Args:
        server: with documents.
        proxy: before its engine.
        queries: perf_analyzer's input file.
        requests: clients → requests of a run; perf_analyzer at times does not end after runs of under a second.
        say: called with a line for each run.
    """
    found = []
    for state in ("healthy", "slow", "down"):
        proxy.delay = SLOW_SECONDS if state == "slow" else 0.0
        if state == "down":
            proxy.close_all()
            time.sleep(3)  # a connection's end is seen at the next call or look
        for count, number in requests.items():
            for model in ("search", "unified"):
                before = statuses(server)
                run = perf_analyzer.run(server.grpc_url, model, queries, count, number, SECONDS)
                time.sleep(1)  # the counters are sent twice a second
                seen = {name: number - before[name] for name, number in statuses(server).items()}
                found.append(
                    Load(model, state, count, run.latency_ms["p50"], run.latency_ms["p99"], run.requests_per_s, seen)
                )
                say(f"{state}, {count} clients, {model}: {run.requests_per_s:.0f}/s")
    proxy.delay, proxy.is_open = 0.0, True
    return found


def statuses(server: Server) -> dict[str, int]:
    """How many answers had each status so far, as Triton counts them."""
    with urllib.request.urlopen(server.metrics_url, timeout=10) as page:
        found = _ANSWERS.findall(page.read().decode())
    counts = Counter({status: int(float(number)) for status, number in found})
    return {status: counts[status] for status in STATUSES}


def is_same(found: malgil.SearchResult, wanted: malgil.SearchResult) -> bool:
    """Whether two answers are the same in all that an app shows, scores within ROUNDING."""
    shown = [[(hit.id, hit.name, hit.path, hit.phrase) for hit in one] for one in (found, wanted)]
    return (
        found.generation == wanted.generation
        and shown[0] == shown[1]
        and all(abs(hit.score - other.score) < ROUNDING for hit, other in zip(found, wanted, strict=True))
    )


def killed(
    server: Server,
    queries: Sequence[str],
    kill: Callable[[], None],
    restart: Callable[[], None],
    deadline_ms: int,
    clients: int,
    seconds: float,
) -> Kill:
    """Kill the engine under load, and start it again after a third of the time.

    Args:
        server: with an engine that holds documents.
        queries: asked in turns.
        kill: ends the engine.
        restart: starts it, and returns when it listens.
        deadline_ms: of each request.
        clients: threads.
        seconds: before the kill, until the restart, and after it, each.
    """
    with malgil.SearchClient(server.grpc_url, retries=0, timeout=30) as client:
        wanted = {query: client.search(query) for query in queries}
        asked: list[tuple[float, float, str, bool]] = []  # when it ended, seconds, status, as before
        failed: list[str] = []
        stop = threading.Event()

        def work(at: int) -> None:
            while not stop.is_set():
                query = queries[at % len(queries)]
                started = time.perf_counter()
                try:
                    found = client.search_all(query, documents_deadline_ms=deadline_ms)
                except Exception as error:  # a thread that ended would have no more requests to fail
                    failed.append(str(error))
                else:
                    ended = time.perf_counter()
                    same = is_same(found.services, wanted[query])
                    asked.append((ended, ended - started, found.documents.status, same))
                at += 1

        threads = [threading.Thread(target=work, args=(at,)) for at in range(clients)]
        for thread in threads:
            thread.start()
        time.sleep(seconds)
        kill()
        time.sleep(seconds)
        restart()
        listening = time.perf_counter()
        time.sleep(seconds)
        stop.set()
        for thread in threads:
            thread.join()
    back = [ended - listening for ended, _, status, _ in asked if status == "ok" and ended > listening]
    return Kill(
        len(asked) + len(failed),
        len(failed),
        1000 * max(took for _, took, _, _ in asked),
        deadline_ms,
        sum(not same for *_, same in asked),
        dict(Counter(status for _, _, status, _ in asked)),
        min(back, default=float("inf")),
    )
