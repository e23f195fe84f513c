"""Sends bursts to a live server and judges every answer; a failure is shrunk to the least that shows it."""

from __future__ import annotations

import asyncio
from builtins import BaseExceptionGroup  # Python 3.11, which the client alone does not need
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType

import hypothesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import SearchStrategy

from server.launcher import Server
from tests.soak.fuzz.answers import CALLS, Answer, difference
from tests.soak.fuzz.requests import FEWEST, GOOD, Burst, Request, bursts, good
from tests.soak.fuzz.sender import Reply, Sender
from tests.soak.fuzz.statuses import OK
from tests.soak.processes import Growth, Processes
from tests.soak.wire import grpc_infer

CHUNK = 100  # bursts of one run of hypothesis, which remembers what it has sent
WARM_UP = 0.3  # of the requests, before growth is measured: buffers grow to what they need
EXAMPLES = 5


class FuzzError(AssertionError):
    """An answer, or the absence of one, that a server must not give."""


class CrashError(FuzzError):
    """A process died, or a request got no answer in time."""


class WrongStatusError(FuzzError):
    """An odd request was answered with a status that is not among its expected ones."""


class HarmError(FuzzError):
    """A good request was answered otherwise than before."""


@dataclass(frozen=True)
class Fuzz:
    """Figures of a server under random requests.

    The three kinds of failure are counted once each: hypothesis stops at one and shrinks it.

    Attributes:
        requests: that were sent, those of shrinking among them.
        good: of these, those whose answers are known.
        crashes: whether a process died, or a request got no answer in time.
        wrong_status: whether an odd request had another status than its expected ones.
        harmed: whether a good request had another answer than the recorded one.
        rss_growth_mb: of tritonserver and each stub, after the warm-up.
        shm_growth_mb: of the server's regions in /dev/shm, after the warm-up.
        leaked: whether any of them grew steadily, by more than `processes` allows.
        statuses: how often each was answered.
        examples: the failures, shrunk, in words.
    """

    requests: int
    good: int
    crashes: int
    wrong_status: int
    harmed: int
    rss_growth_mb: dict[str, float]
    shm_growth_mb: float
    leaked: bool
    statuses: dict[str, int]
    examples: tuple[str, ...]


class Target:
    """A live server whose answers to good requests are known. Use as a context manager.

    Raises:
        RuntimeError: on entering: a good request is refused already.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._runner = asyncio.Runner()
        self.processes = Processes(server)
        self.requests = self.good = 0
        self.statuses: Counter[str] = Counter()
        self._died: str | None = None

    def __enter__(self) -> Target:
        self._sender = Sender(self._server.grpc_url, self._server.inner_http_url)  # the proxy would refuse half of it
        self._runner.run(self._sender.__aenter__())
        self.known = self._runner.run(self._record())
        self.width = max(answer["embedding"].shape[1] for answer in self.known if "embedding" in answer)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._runner.run(self._sender.__aexit__(kind, error, trace))
        self._runner.close()

    async def _record(self) -> list[Answer]:
        known = []
        for call in CALLS:
            reply = await self._sender.send(grpc_infer(call))
            if reply.status not in OK:
                raise RuntimeError(f"{call.model} is not answered: {reply.status} {reply.detail}")
            known.append(reply.answer())
        return known

    async def _send(self, burst: Burst) -> list[Reply]:
        return await asyncio.gather(*(self._sender.send(request.message) for request in burst))

    def check(self, burst: Burst) -> None:
        """Send requests at once, and judge their answers.

        Raises:
            CrashError: a process died; every later burst fails with the same words, since a dead server proves no more.
            WrongStatusError: an odd request's status is none of its expected ones.
            HarmError: a good request's answer differs from the recorded one.
        """
        if self._died is None:
            replies = self._runner.run(self._send(burst))
            self.requests += len(burst)
            self.good += sum(request.good is not None for request in burst)
            self.statuses.update(reply.status for reply in replies)
            if gone := self.processes.look():
                self._died = f"{', '.join(gone)} died after\n" + "\n".join(map(repr, burst))
        if self._died is not None:
            raise CrashError(self._died)
        for request, reply in zip(burst, replies, strict=True):
            self._judge(request, reply)

    def _judge(self, request: Request, reply: Reply) -> None:
        if reply.late:
            raise CrashError(f"{request!r}\nhad no answer in time: {reply.detail}")
        if request.good is not None:
            changed = reply.detail if reply.status not in OK else difference(reply.answer(), self.known[request.good])
            if changed is not None:
                raise HarmError(f"{request!r}\nwas answered otherwise than before: {reply.status} {changed}")
        elif reply.status not in request.expected:
            wanted = " or ".join(sorted(request.expected))
            raise WrongStatusError(
                f"{request!r}\nwas answered {reply.status} {reply.detail[:300]!r} instead of {wanted}"
            )


def storm(
    target: Target, strategy: SearchStrategy[Burst], examples: int, seed: int, done: Callable[[], None] = lambda: None
) -> list[FuzzError]:
    """Send so many bursts out of a strategy; the failures, shrunk, one of each kind."""

    @hypothesis.seed(seed)
    @settings(
        max_examples=examples,
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )
    @given(strategy)
    def examine(burst: Burst) -> None:
        target.check(burst)
        done()

    try:
        examine()
    except FuzzError as error:
        return [error]
    except BaseExceptionGroup as group:  # several kinds, or one that did not happen again
        matched, other = group.split(FuzzError)
        if matched is None or other is not None:
            raise
        return _flat(matched)
    return []


def run(server: Server, requests: int, seed: int, advance: Callable[[int, int], None]) -> Fuzz:
    """Send about so many requests, the same for the same seed, and judge every answer; stops at a failure.

    Args:
        server: a live one, into whose index nobody publishes meanwhile.
        requests: how many.
        seed: of the requests.
        advance: told how many of how many are done.
    """
    failures: list[FuzzError] = []
    memory = []
    with Target(server) as target:
        chunk = 0
        for share in (WARM_UP, (1 + WARM_UP) / 2, 1.0):
            while target.requests < share * requests and not failures:
                left = (share * requests - target.requests) / (GOOD + 2 * FEWEST)
                failures = storm(
                    target, bursts(target.width), max(1, min(CHUNK, round(left))), seed * 1_000_003 + chunk,
                    lambda: advance(min(target.requests, requests), requests),
                )  # fmt: skip
                chunk += 1
            memory.append(target.processes.memory())
        try:
            target.check(tuple(good(place, over_grpc=True) for place in range(len(CALLS))))
        except FuzzError as error:
            failures.append(CrashError(f"afterwards: {error}"))
    growth = Growth.between(*memory)
    kinds = Counter(type(failure) for failure in failures)
    return Fuzz(
        requests=target.requests,
        good=target.good,
        crashes=kinds[CrashError],
        wrong_status=kinds[WrongStatusError],
        harmed=kinds[HarmError],
        rss_growth_mb=growth.rss_mb,
        shm_growth_mb=growth.shm_mb,
        leaked=growth.leaked,
        statuses=dict(sorted(target.statuses.items())),
        examples=tuple(map(str, failures[:EXAMPLES])),
    )


def _flat(group: BaseExceptionGroup[FuzzError]) -> list[FuzzError]:
    found: list[FuzzError] = []
    for error in group.exceptions:
        found += _flat(error) if isinstance(error, BaseExceptionGroup) else [error]
    return found
