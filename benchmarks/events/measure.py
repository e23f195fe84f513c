"""The measurement: events through a live server, and searches with and without them in turns."""

from __future__ import annotations

import itertools
import json
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import malgil
from malgil_core.events.reading import Damage, read, segments
from malgil_core.events.segment import OPEN

from benchmarks import QUERIES, ROOT
from benchmarks.events.sender import BATCH, Sent, number_of
from benchmarks.serving import started
from export.catalog import labelled

WARM_SEARCHES = 200


@dataclass(frozen=True)
class Pair:
    """The p50 of one client's searches in milliseconds, without events and with them, one after the other.

    Attributes:
        without_ms, with_ms: of so many seconds each.
        searches: of both.
        wanted: events a second that the second was to have.
        rate: that it had.
    """

    without_ms: float
    with_ms: float
    searches: int
    wanted: int
    rate: float

    @property
    def ratio(self) -> float:
        """With events over without."""
        return self.with_ms / self.without_ms

    def __str__(self) -> str:
        beside = f"{self.with_ms:.2f} ms beside {self.rate:,.0f} events/s"
        return f"p50 {self.without_ms:.2f} ms, {beside}: {self.ratio:.3f}"


@dataclass(frozen=True)
class Figures:
    """What came of the events, and of the searches beside them.

    Attributes:
        events: sent.
        dropped, failed: of these, by the server's own answers.
        lost: events that the server took, and that are not in its log after it was stopped.
        doubled: events that are in its log more than once.
        left_open: segments that the stop did not seal.
        bytes_per_event: in the log.
        burst_per_s: events a second without a search beside them, one client, batches of 64.
        pairs: of windows with and without events, at one rate after the other.
    """

    events: int
    dropped: int
    failed: int
    lost: int
    doubled: int
    left_open: int
    bytes_per_event: float
    burst_per_s: float
    pairs: list[Pair]

    def to_json(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {**asdict(self), "pairs": [{**asdict(pair), "ratio": pair.ratio} for pair in self.pairs]}


class Sender:
    """The process that sends; what it is told to send has the numbers after what it has sent."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process, self._next = process, 0
        self.sent: list[Sent] = []

    def begin(self, count: int, rate: float) -> None:
        """Begin to send so many events."""
        assert self._process.stdin
        print(self._next, count, rate, file=self._process.stdin, flush=True)
        self._next += count

    def end(self) -> Sent:
        """Wait until they are sent.

        Raises:
            RuntimeError: the process has ended.
        """
        assert self._process.stdout
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"the sender ended with {self._process.wait()}")
        self.sent.append(Sent(**json.loads(answer)))
        return self.sent[-1]


def measure(
    repository: Path,
    folder: Path,
    events: int,
    rates: Sequence[int],
    pairs: int,
    seconds: float,
    say: Callable[[str], None],
) -> Figures:
    """Send events through a server that is started for this, some of them with searches beside, and read its log.

    Args:
        repository: the model repository, with an index beside it.
        folder: for the server's log and its events.
        events: how many are sent at least; those that no window needs go first, without searches.
        rates: events a second beside searches.
        pairs: of windows at each rate.
        seconds: of each window with events, and of each without.
        say: called with a line for each step.
    """
    log = folder / "events"
    with started(repository, folder, {"MALGIL_EVENTS": str(log)}) as server, sending(server.grpc_url) as sender:
        burst = max(events - sum(_events(rate, seconds) for rate in rates) * pairs, BATCH)
        sender.begin(burst, 0)
        burst_per_s = burst / sender.end().seconds
        say(f"{burst:,} events without searches: {burst_per_s:,.0f}/s")
        with malgil.SearchClient(server.grpc_url) as client:
            queries = itertools.cycle(one.query for one in labelled.read(QUERIES))
            for query in itertools.islice(queries, WARM_SEARCHES):
                client.search(query)
            found_pairs: list[Pair] = []
            for rate, turn in itertools.product(rates, range(pairs)):
                found_pairs.append(_pair(client, queries, sender, _events(rate, seconds), rate, turn))
                say(str(found_pairs[-1]))
    say("the server is stopped; its log is read")
    found = Counter(map(number_of, read(log, damage := Damage())))
    if damage != Damage():
        raise RuntimeError(f"{log} is damaged: {damage}")
    accepted = sum(one.accepted for one in sender.sent)
    paths = segments(log)
    return Figures(
        events=sum(one.accepted + one.dropped + one.failed for one in sender.sent),
        dropped=sum(one.dropped for one in sender.sent),
        failed=sum(one.failed for one in sender.sent),
        lost=accepted - len(found),
        doubled=sum(count > 1 for count in found.values()),
        left_open=sum(path.name.endswith(OPEN) for path in paths),
        bytes_per_event=sum(path.stat().st_size for path in paths) / max(len(found), 1),
        burst_per_s=burst_per_s,
        pairs=found_pairs,
    )


def _events(rate: int, seconds: float) -> int:
    """The events of one window."""
    return max(int(rate * seconds), 1)


def _pair(
    client: malgil.SearchClient, queries: Iterator[str], sender: Sender, count: int, rate: int, turn: int
) -> Pair:
    times: dict[bool, list[float]] = {}
    for busy in (True, False) if turn % 2 else (False, True):
        if busy:
            sender.begin(count, rate)
        times[busy] = _search(client, queries, count / rate)
        if busy:
            sent = sender.end()
    without, beside = (1000 * statistics.median(times[busy]) for busy in (False, True))
    return Pair(without, beside, sum(map(len, times.values())), rate, count / sent.seconds)


def _search(client: malgil.SearchClient, queries: Iterator[str], seconds: float) -> list[float]:
    """The seconds of each search of one client that asks without a pause."""
    times: list[float] = []
    ends = time.perf_counter() + seconds
    while not times or time.perf_counter() < ends:
        query, started_at = next(queries), time.perf_counter()
        client.search(query)
        times.append(time.perf_counter() - started_at)
    return times


@contextmanager
def sending(url: str) -> Iterator[Sender]:
    """The process that sends to a server, for as long as this lasts; apps send from machines of their own, so: nice."""
    command = ["nice", "-n", "19", sys.executable, "-m", "benchmarks.events.sender", url]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Sender(process)
        finally:
            process.kill()
