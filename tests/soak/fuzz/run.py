"""A seeded fuzzer of a live server, gRPC and HTTP: bad requests must be refused, and harm nobody beside them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from benchmarks.soak.fuzz_expect import OK
from benchmarks.soak.fuzz_known import CALLS, Answer, difference
from benchmarks.soak.fuzz_processes import Growth, Processes
from benchmarks.soak.fuzz_requests import Request, make
from benchmarks.soak.fuzz_send import Reply, Sender
from benchmarks.soak.fuzz_wire import grpc_infer
from server.launcher import Server

CONCURRENCY = 24
WARM_UP = 0.3  # of the requests, before growth is measured: buffers grow to what they need
SETTLE_SECONDS = 1.0
LOOK_EVERY = 200  # requests
EXAMPLES = 10


@dataclass(frozen=True)
class Example:
    """A failure, with what is needed to send the same request again: `fuzz_requests.make(seed, number, width)`."""

    kind: str  # crash, wrong_status or harmed
    seed: int
    number: int
    sent: str
    came: str


@dataclass(frozen=True)
class Fuzz:
    """What came of it."""

    requests: int  # sent
    good: int  # of these, those whose answers are known
    crashes: int  # processes that died, requests without an answer in time, and searches no longer answered
    wrong_status: int  # bad requests with another answer than theirs
    harmed: int  # good requests with another answer than the recorded one
    rss_growth_mb: dict[str, float]  # of tritonserver and each stub, after the warm-up
    shm_growth_mb: float  # of the server's regions in /dev/shm, after the warm-up
    leaked: bool  # whether any of them grew steadily, by more than fuzz_processes allows
    statuses: dict[str, int]  # how often each was answered
    examples: tuple[Example, ...]  # at most EXAMPLES


@dataclass
class Tally:
    """Verdicts so far."""

    seed: int
    known: list[Answer]
    requests: int = 0
    good: int = 0
    counts: dict[str, int] = field(default_factory=lambda: {"crash": 0, "wrong_status": 0, "harmed": 0})
    statuses: dict[str, int] = field(default_factory=dict)
    examples: list[Example] = field(default_factory=list)

    def judge(self, request: Request, reply: Reply) -> None:
        """Count one answer."""
        self.requests += 1
        self.statuses[reply.status] = self.statuses.get(reply.status, 0) + 1
        if request.good is not None:
            self.good += 1
        if reply.late:
            self.fail("crash", request, f"no answer in time: {reply.detail}")
        elif request.good is not None:
            changed = reply.detail if reply.status not in OK else difference(reply.answer(), self.known[request.good])
            if changed is not None:
                self.fail("harmed", request, f"{reply.status} {changed}")
        elif reply.status not in request.expected:
            wanted = " or ".join(sorted(request.expected))
            self.fail("wrong_status", request, f"{reply.status} {reply.detail[:300]!r} instead of {wanted}")

    def fail(self, kind: str, request: Request, came: str) -> None:
        """Count a failure, and keep it if there is room."""
        self.counts[kind] += 1
        if len(self.examples) < EXAMPLES:
            self.examples.append(Example(kind, self.seed, request.number, request.what, came))


def run(server: Server, requests: int, seed: int, advance: Callable[[int, int], None]) -> Fuzz:
    """Send `requests` requests, the same for the same seed, and judge every answer.

    Stops early when a process has died: all that comes after would fail with it.

    Args:
        server: a live one, whose index nobody publishes meanwhile.
        requests: how many.
        seed: of the requests.
        advance: told how many of how many are done.
    """
    return asyncio.run(_run(server, requests, seed, advance))


async def _run(server: Server, requests: int, seed: int, advance: Callable[[int, int], None]) -> Fuzz:
    async with Sender(server.grpc_url, server.http_url) as sender:
        tally = Tally(seed, await record(sender))
        width = max(answer["embedding"].shape[1] for answer in tally.known if "embedding" in answer)
        processes = Processes(server)
        warm = int(requests * WARM_UP)
        await _storm(sender, tally, processes, width, range(warm), lambda done: advance(done, requests))
        await asyncio.sleep(SETTLE_SECONDS)
        before = processes.memory()
        half = (warm + requests) // 2
        await _storm(sender, tally, processes, width, range(warm, half), lambda done: advance(warm + done, requests))
        middle = processes.memory()
        await _storm(
            sender, tally, processes, width, range(half, requests), lambda done: advance(half + done, requests)
        )
        await asyncio.sleep(SETTLE_SECONDS)
        growth = Growth.between(before, middle, processes.memory())
        for place in range(len(CALLS)):
            message = grpc_infer(CALLS[place])
            request = Request(requests + place, f"good request {place}, afterwards", message, OK, place)
            reply = await sender.send(message)
            changed = reply.detail if reply.status not in OK else difference(reply.answer(), tally.known[place])
            if changed is not None:
                tally.fail("crash", request, f"{reply.status} {changed}")
    return _fuzz(tally, growth)


async def record(sender: Sender) -> list[Answer]:
    """The answers to the good requests.

    Raises:
        RuntimeError: one is refused already.
    """
    known = []
    for call in CALLS:
        reply = await sender.send(grpc_infer(call))
        if reply.status not in OK:
            raise RuntimeError(f"{call.model} is not answered: {reply.status} {reply.detail}")
        known.append(reply.answer())
    return known


async def _storm(
    sender: Sender,
    tally: Tally,
    processes: Processes,
    width: int,
    numbers: range,
    advance: Callable[[int], None],
) -> None:
    """Send these requests, CONCURRENCY at a time."""
    waiting = iter(numbers)
    flying: dict[int, Request] = {}
    done = 0

    async def work() -> None:
        nonlocal done
        for number in waiting:
            if processes.dead:
                return
            request = flying[number] = make(tally.seed, number, width)
            tally.judge(request, await sender.send(request.message))
            del flying[number]
            done += 1
            if done % LOOK_EVERY == 0:
                advance(done)
                _look(processes, tally, flying)

    await asyncio.gather(*(work() for _ in range(CONCURRENCY)))
    advance(done)
    _look(processes, tally, flying)


def _look(processes: Processes, tally: Tally, flying: Mapping[int, Request]) -> None:
    """Count the processes that have died since, with what was on its way then."""
    for name in processes.look():
        numbers = sorted(flying) or [tally.requests]
        sent = "; ".join(request.what for request in list(flying.values())[:CONCURRENCY])
        tally.counts["crash"] += 1
        died = Example("crash", tally.seed, numbers[0], sent, f"{name} died within {LOOK_EVERY} requests")
        tally.examples.insert(0, died)  # first of all: it explains the others
        del tally.examples[EXAMPLES:]


def _fuzz(tally: Tally, growth: Growth) -> Fuzz:
    return Fuzz(
        tally.requests,
        tally.good,
        tally.counts["crash"],
        tally.counts["wrong_status"],
        tally.counts["harmed"],
        growth.rss_mb,
        growth.shm_mb,
        growth.leaked,
        dict(sorted(tally.statuses.items())),
        tuple(tally.examples),
    )
