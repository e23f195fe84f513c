"""Scenario `overload`: far more than the server can answer, sent whether it answers or not."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from grpc import aio

from server.launcher import Server
from tests.soak.load import connections, is_overloaded
from tests.soak.wire import Call, grpc_infer, string

CLIENTS = 256  # that each wait for their answer: as many as the server takes without refusing any
CONNECTIONS = 4
TIMES = 2.0  # what it can answer; of more, two cores cannot send and refuse the rest beside some answers
HUNG_SECONDS = 30.0  # a request that has not ended by then never will
NORMAL = 2.0  # times the latency of a lone client before the load
STEADY = 5  # searches in a row that are as fast as that
SATURATE_SECONDS = 10.0
_TICK = 0.002


@dataclass(frozen=True)
class Overload:
    """Figures of a server under an open loop.

    Attributes:
        ratio: requests sent a second, over those a second that CLIENTS got answered.
        sent_ratio: requests sent, over those that were to be sent.
        p99_ratio: 99th percentile of the latencies of answered requests, over that of CLIENTS.
        hung: requests that did not end within HUNG_SECONDS.
        failed: requests that ended neither answered nor refused as overloaded.
        recovered_s: from the last request sent to the first of STEADY searches of a lone client that take at most
            NORMAL times what they took before.
        saturated_per_s, saturated_p99_ms: what CLIENTS got.
        sent, answered, refused: requests of the open loop.
        answered_p99_ms, refused_p99_ms: their latencies.
        problems: failures, in words, each with how often.
    """

    ratio: float
    sent_ratio: float
    p99_ratio: float
    hung: int
    failed: int
    recovered_s: float
    saturated_per_s: float
    saturated_p99_ms: float
    sent: int
    answered: int
    refused: int
    answered_p99_ms: float
    refused_p99_ms: float
    problems: tuple[str, ...]


@dataclass
class Ends:
    """How requests ended; latencies in seconds."""

    answered: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    hung: int = 0
    failed: Counter[str] = field(default_factory=Counter)


def run(
    server: Server,
    queries: Sequence[str],
    times: float = TIMES,
    seconds: float = 60.0,
    saturate: float = SATURATE_SECONDS,
    advance: Callable[[int, int], None] = lambda done, total: None,
) -> Overload:
    """Find what the server can answer, send `times` as much for so many seconds; see how it recovers.

    The load comes from this machine, and takes from the server what it needs itself.

    Args:
        server: it runs.
        queries: sent in turns.
        times: of the saturated rate.
        seconds: of the open loop.
        saturate: seconds of the measurement before it.
        advance: called with (seconds done, seconds in all).
    """
    return asyncio.run(_Loader(server.grpc_url, queries).overload(times, seconds, saturate, advance))


class _Loader:
    def __init__(self, url: str, queries: Sequence[str]) -> None:
        self._url = url
        self._bodies = [grpc_infer(Call("search", (string("query", query.encode()),))).body for query in queries]

    async def overload(
        self, times: float, seconds: float, saturate: float, advance: Callable[[int, int], None]
    ) -> Overload:
        async with connections(self._url, CONNECTIONS) as self._calls:
            normal = float(np.median(await self._alone(20)))
            await self._closed(saturate / 4)  # warm
            rate, closed = await self._closed(saturate)
            wanted = rate * times
            open_, sent, took = await self._open(wanted, seconds, advance)
            recovered = await self._recovered(normal)
        p99, open_p99 = _p99_ms(closed.answered), _p99_ms(open_.answered)
        return Overload(
            ratio=sent / took / rate,
            sent_ratio=sent / took / wanted,
            p99_ratio=open_p99 / p99,
            hung=open_.hung + closed.hung,
            failed=open_.failed.total() + closed.failed.total(),
            recovered_s=recovered,
            saturated_per_s=rate,
            saturated_p99_ms=p99,
            sent=sent,
            answered=len(open_.answered),
            refused=len(open_.refused),
            answered_p99_ms=open_p99,
            refused_p99_ms=_p99_ms(open_.refused),
            problems=tuple(f"{count} × {what}" for what, count in (open_.failed + closed.failed).most_common(5)),
        )

    async def _one(self, number: int, ends: Ends) -> None:
        began = time.perf_counter()
        try:
            await self._calls[number % CONNECTIONS](self._bodies[number % len(self._bodies)], timeout=HUNG_SECONDS)
            ends.answered.append(time.perf_counter() - began)
        except aio.AioRpcError as error:
            code = error.code().name
            if is_overloaded(error):
                ends.refused.append(time.perf_counter() - began)
            elif code == "DEADLINE_EXCEEDED":
                ends.hung += 1
            else:
                ends.failed[f"{code}: {(error.details() or '')[:120]}"] += 1

    async def _closed(self, seconds: float) -> tuple[float, Ends]:
        """CLIENTS that each wait for their answer: answers a second, and how requests ended."""
        ends, began = Ends(), time.perf_counter()

        async def client(number: int) -> None:
            while time.perf_counter() - began < seconds:
                await self._one(number, ends)
                number += CLIENTS

        await asyncio.gather(*(client(number) for number in range(CLIENTS)))
        return len(ends.answered) / (time.perf_counter() - began), ends

    async def _open(self, rate: float, seconds: float, advance: Callable[[int, int], None]) -> tuple[Ends, int, float]:
        """So many requests a second, sent in time; how they ended, how many they were, and how long sending took."""
        ends, tasks, began = Ends(), set[asyncio.Task[None]](), time.perf_counter()
        sent = 0
        while (passed := time.perf_counter() - began) < seconds:
            while sent < passed * rate:
                task = asyncio.create_task(self._one(sent, ends))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
                sent += 1
            advance(int(passed), int(seconds))
            await asyncio.sleep(_TICK)
        self._stopped = time.perf_counter()
        self._left = tasks
        advance(int(seconds), int(seconds))
        return ends, sent, self._stopped - began

    async def _recovered(self, normal: float) -> float:
        """Seconds from the last request to a lone client's usual latency; then waits for what is still under way."""
        steady, first = 0, 0.0
        while steady < STEADY and time.perf_counter() - self._stopped < HUNG_SECONDS:
            asked = time.perf_counter()
            (took,) = await self._alone(1)
            if took <= NORMAL * normal:
                first = first if steady else asked
                steady += 1
            else:
                steady = 0
        if self._left:
            await asyncio.wait(set(self._left))
        return first - self._stopped if steady == STEADY else HUNG_SECONDS

    async def _alone(self, count: int) -> list[float]:
        """Latencies in seconds of one client; what is refused or fails takes for ever."""
        found = []
        for number in range(count):
            ends = Ends()
            await self._one(number, ends)
            found.append(ends.answered[0] if ends.answered else HUNG_SECONDS)
        return found


def _p99_ms(seconds: Sequence[float]) -> float:
    return float(np.percentile(seconds, 99)) * 1000 if seconds else 0.0
