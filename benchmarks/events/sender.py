"""A process that sends events: `python -m benchmarks.events.sender URL`, so that no search shares its interpreter.

Each line of its input is `FIRST COUNT RATE`: it sends the events of these numbers, as many a second (0: as fast as they
are answered), and prints what came of them as JSON.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import malgil
import numpy as np
from malgil._retry import Deadline
from malgil._transport import Transport, connect
from malgil_core.events.types import AnyEvent, Chosen, Hit, Search, Shown

BATCH = 64  # events in a request: the most that are taken
TIMEOUT = 30.0
TYPES = ("search", "shown", "chosen")  # of one search each, in this order
# Numbers become search_ids that look random, and back again: a counter would compress better than real ones.
_FACTOR, _MODULUS = 0x9E3779B97F4A7C15F39CC0605CEDC835, 2**128
_INVERSE = pow(_FACTOR, -1, _MODULUS)


@dataclass
class Sent:
    """What came of some events.

    Attributes:
        accepted, dropped: events, as the server answered.
        failed: events in requests that failed.
        seconds: it took.
    """

    accepted: int = 0
    dropped: int = 0
    failed: int = 0
    seconds: float = 0.0


def line(number: int, at_ms: int) -> bytes:
    """The event of a number: three in a row are of one search, with five hits of which the second is chosen."""
    search, kind = divmod(number, len(TYPES))
    common: dict[str, Any] = {
        "search_id": f"{search * _FACTOR % _MODULUS:032x}",
        "at_ms": at_ms,
        "generation": 1,
        "surface": "SEARCH",
        "person": f"{(search % 10_000 + 1) * _INVERSE % _MODULUS:032x}",
        "k": 1,
    }
    if TYPES[kind] == "search":
        return Search(**common, count=5).as_json()
    hits = tuple(Hit(id=100 + (search + rank) % 150, rank=rank, score=1 - rank / 16) for rank in range(1, 6))
    if TYPES[kind] == "shown":
        return Shown(**common, hits=hits).as_json()
    return Chosen(**common, id=hits[1].id, rank=2, score=hits[1].score).as_json()


def number_of(event: AnyEvent) -> int:
    """The number of an event that `line` has made."""
    return int(event.search_id, 16) * _INVERSE % _MODULUS * len(TYPES) + TYPES.index(event.type)


def batches(first: int, count: int) -> Iterator[list[bytes]]:
    """The events of some numbers, in batches."""
    for start in range(first, first + count, BATCH):
        at_ms = time.time_ns() // 1_000_000
        yield [line(number, at_ms) for number in range(start, min(start + BATCH, first + count))]


def send(transport: Transport, first: int, count: int, rate: float) -> Sent:
    """Send the events of some numbers, so many a second."""
    sent, began = Sent(), time.perf_counter()
    for done, batch in enumerate(batches(first, count)):
        if rate:
            time.sleep(max(began + done * BATCH / rate - time.perf_counter(), 0))
        tensor = np.array(batch, dtype=np.object_).reshape(-1, 1)
        try:
            answer = transport.infer("events", {"event": tensor}, ("accepted",), Deadline(TIMEOUT))["accepted"]
        except malgil.MalgilError as error:
            print(error, file=sys.stderr)
            sent.failed += len(batch)
        else:
            sent.accepted += int(answer.sum())
            sent.dropped += int((answer == 0).sum())
    sent.seconds = time.perf_counter() - began
    return sent


def main(url: str) -> None:
    """Send what the input says."""
    transport = connect(url, None, None)
    for command in sys.stdin:
        first, count, rate = command.split()
        print(json.dumps(asdict(send(transport, int(first), int(count), float(rate)))), flush=True)
    transport.close()


if __name__ == "__main__":
    main(sys.argv[1])
