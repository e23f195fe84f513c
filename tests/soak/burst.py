"""Scenario `burst`: thousands of clients at once, then calm, again and again, with other requests in between.

In Triton 2.51, more than 1,000 requests outstanding at once in front of a model without a dynamic batcher damage the
heap, and the server aborts minutes later, in calmer traffic: docs/known-issues.md.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from grpc import aio

from server.launcher import Server
from tests.soak.fuzz.answers import CALLS, Answer, difference, read_grpc
from tests.soak.load import connections, is_overloaded
from tests.soak.processes import Processes
from tests.soak.wire import Call, grpc_infer, http_infer, raw_http, string

CONNECTIONS = 8
TIMEOUT = 60.0  # seconds: a request that has not ended by then has failed
OTHERS = 0.05  # of the requests are bad ones, and as many are abandoned
REFUSED_PAUSE = 0.2  # seconds at most that a client waits once it was refused as one too many
CALM_PAUSE = 0.05
MOST_PROBLEMS = 5
BAD = Call("search", (string("query", b" "),))


@dataclass(frozen=True)
class Bursts:
    """Figures of a server under bursts.

    Attributes:
        bursts: how many there were.
        sent: requests.
        answered: of these.
        overloaded: refused, since too many waited.
        refused: bad requests, refused as such.
        abandoned: requests whose client had gone.
        failed: requests that ended in any other way.
        wrong: good requests that were answered otherwise than before the first burst.
        lost: processes of the server that died.
        exit_code: of tritonserver, told to stop at the end; it was killed where this is negative.
        problems: the first few failures, in words.
    """

    bursts: int
    sent: int
    answered: int
    overloaded: int
    refused: int
    abandoned: int
    failed: int
    wrong: int
    lost: int
    exit_code: int
    problems: tuple[str, ...]


@dataclass
class Counts:
    """How requests ended so far."""

    ends: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    def end(self, how: str, problem: str = "") -> None:
        """Count one."""
        self.ends[how] += 1
        if problem and len(self.problems) < MOST_PROBLEMS:
            self.problems.append(problem)


def run(
    server: Server,
    bursts: int = 20,
    clients: int = 3_000,
    burst_s: float = 10.0,
    calm_s: float = 60.0,
    seed: int = 0,
    advance: Callable[[int, int], None] = lambda done, total: None,
) -> Bursts:
    """Send bursts to a server and stop it.

    Args:
        server: a live one, into whose index nobody publishes meanwhile. It is stopped.
        bursts: how many.
        clients: of a burst, each of which asks again once it is answered.
        burst_s: seconds of a burst.
        calm_s: seconds between two, in which one client asks.
        seed: of what is asked.
        advance: called with (bursts done, bursts in all).
    """
    processes, counts, lost = Processes(server), Counts(), list[str]()

    async def all_bursts() -> int:
        async with connections(server.grpc_url, CONNECTIONS) as calls:
            asker = Asker(calls, server.http_url, counts)
            await asker.record()
            for done in range(bursts):
                advance(done, bursts)
                for count, seconds, pause in ((clients, burst_s, 0.0), (1, calm_s, CALM_PAUSE)):
                    until = time.monotonic() + seconds
                    draws = (random.Random(f"{seed} {done} {count} {number}") for number in range(count))
                    await asyncio.gather(*(asker.client(draw, until, pause) for draw in draws))
                    lost.extend(processes.look())
                if processes.dead:
                    return done + 1
        return bursts

    done = asyncio.run(all_bursts())
    advance(done, bursts)
    exit_code = server.stop()
    ends = counts.ends
    return Bursts(
        bursts=done,
        sent=ends.total(),
        answered=ends["answered"] + ends["wrong"],
        overloaded=ends["overloaded"],
        refused=ends["refused"],
        abandoned=ends["abandoned"],
        failed=ends["failed"],
        wrong=ends["wrong"],
        lost=len(lost),
        exit_code=exit_code,
        problems=tuple([f"{name} died" for name in lost] + counts.problems),
    )


class Asker:
    """Sends requests of all kinds over gRPC, and leaves some over HTTP.

    Requests are abandoned over HTTP: to cancel a gRPC call may end Triton 2.51 by another fault (docs/known-issues.md).
    """

    def __init__(self, calls: Sequence[aio.UnaryUnaryMultiCallable], http_url: str, counts: Counts) -> None:
        self._calls, self._counts = calls, counts
        self._bodies = [grpc_infer(call).body for call in CALLS]
        self._bad = grpc_infer(BAD).body
        where = urlsplit(http_url)
        self._http = where.hostname, where.port
        message = http_infer(CALLS[0])
        headers = (*message.headers, ("Content-Length", str(len(message.body))))
        self._abandoned = raw_http(message.path, message.body, headers).body
        self._known: list[Answer] = []

    async def record(self) -> None:
        """Ask what will be asked, and keep the answers."""
        self._known = [read_grpc(await self._calls[0](body, timeout=TIMEOUT)) for body in self._bodies]

    async def client(self, draw: random.Random, until: float, pause: float) -> None:
        """Ask again and again until so late (`time.monotonic`)."""
        call = draw.choice(self._calls)
        while time.monotonic() < until:
            kind = draw.random()
            if kind < OTHERS:
                await self._abandon()
            elif not await self._ask(call, None if kind < 2 * OTHERS else draw.randrange(len(CALLS))):
                await asyncio.sleep(draw.uniform(0, REFUSED_PAUSE))
            await asyncio.sleep(pause)

    async def _ask(self, call: aio.UnaryUnaryMultiCallable, place: int | None) -> bool:
        """Send a good request, or the bad one; whether the server took it."""
        try:
            answer = await call(self._bad if place is None else self._bodies[place], timeout=TIMEOUT)
        except aio.AioRpcError as error:
            if is_overloaded(error):
                self._counts.end("overloaded")
                return False
            code, details = error.code().name, error.details() or ""
            if place is None and code == "INVALID_ARGUMENT":
                self._counts.end("refused")
            else:
                self._counts.end("failed", f"{code}: {details[:200]}")
                return False
            return True
        if place is None:
            self._counts.end("failed", "a blank query was answered")
        elif changed := difference(read_grpc(answer), self._known[place]):
            self._counts.end("wrong", changed)
        else:
            self._counts.end("answered")
        return True

    async def _abandon(self) -> None:
        """Send a search, and hang up before it is answered."""
        try:
            _, writer = await asyncio.open_connection(*self._http)
            writer.write(self._abandoned)
            await writer.drain()
            writer.close()
        except OSError as error:
            self._counts.end("failed", f"abandoning: {error}")
        else:
            self._counts.end("abandoned")
