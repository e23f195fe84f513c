"""What a sweep measures, how many requests each cell takes, and how long all of it will."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.perf_analyzer import PARTS
from benchmarks.shapes import BUNDLED, ENCODERS, SHAPES, Shape

MODELS = ("search", "embed", "encoder")
LENGTHS = (8, 16, 32, 64, 128, 256, 512)
CONCURRENCY = (1, 16, 64, 256)
MOST_REQUESTS = 20_000  # each leaves up to 16 KB in perf_analyzer's export
OVERHEAD_S = 3.0  # of a cell: perf_analyzer's start and end, and a first load that finds the rate
# multilingual-e5-small's, for the estimate of time left.
_SHAPES = {**SHAPES, BUNDLED: Shape("bert", 250_037, 384, 384, 12, 12, 1_536)}


class SweepError(Exception):
    """A sweep cannot go on; the text says why."""


@dataclass(frozen=True)
class Cell:
    """One figure of the tables: so many clients send texts of so many tokens to a model, over an encoder."""

    encoder: str
    model: str
    length: int
    concurrency: int


@dataclass(frozen=True)
class Options:
    """What is swept.

    Attributes:
        output: the JSON Lines file.
        encoders: names out of `shapes.ENCODERS`.
        models: names of models in the repository.
        lengths: in tokens.
        concurrency: clients that each wait for their answer.
        seconds: how long a cell is measured.
        longest_s: a cell may take so long, where requests are slow; one that cannot end in that time is left out.
        fresh: forget what the file holds.
    """

    output: Path
    encoders: tuple[str, ...] = ENCODERS
    models: tuple[str, ...] = MODELS
    lengths: tuple[int, ...] = LENGTHS
    concurrency: tuple[int, ...] = CONCURRENCY
    seconds: float = 8.0
    longest_s: float = 40.0
    fresh: bool = False

    def cells(self) -> list[Cell]:
        """In the order in which they are measured: a cell's rate is guessed from that of fewer clients."""
        return [
            Cell(encoder, model, length, clients)
            for encoder in self.encoders
            for model in self.models
            for length in sorted(self.lengths)
            for clients in sorted(self.concurrency)
        ]


def requests(rate: float, clients: int, seconds: float, longest_s: float) -> int | None:
    """How many requests to send, the clients' first and last ones included.

    Args:
        rate: requests/s that are expected.
        clients: how many send them.
        seconds: to measure, where requests are fast enough.
        longest_s: not to outlast, where they are slow.

    Returns:
        Enough for `seconds`, at least five of each client where that fits, and None where not even two do.
    """
    if 2 * clients > rate * longest_s:
        return None
    wanted = max(rate * seconds + 2 * clients, (2 + PARTS) * clients)
    return int(max(min(wanted, rate * longest_s, MOST_REQUESTS + 2 * clients), 2 * clients))


def tokens_cost(encoder: str, length: int) -> float:
    """Multiplications and additions that one text takes: linear layers, and attention's two products."""
    shape = _SHAPES[encoder]
    linear = 2 * (4 * shape.hidden**2 + 2 * shape.hidden * shape.inner)
    return shape.layers * length * (linear + 4 * length * shape.hidden)


class Clock:
    """An estimate of the time left, from what the encoders cost and how fast the machine has been so far."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.speed = 5e10  # multiplications and additions a second, until something has been measured

    def learn(self, cell: Cell, requests_per_s: float) -> None:
        """Take note of a measured rate."""
        if cell.concurrency > 1 and cell.length >= 32:  # elsewhere the server's own work is much of the time
            self.speed = tokens_cost(cell.encoder, cell.length) * requests_per_s

    def seconds(self, cells: Iterable[Cell]) -> float:
        """How long these cells will take."""
        return sum(map(self._seconds, cells))

    def _seconds(self, cell: Cell) -> float:
        rate = self.speed / tokens_cost(cell.encoder, cell.length)
        planned = requests(rate, cell.concurrency, self.options.seconds, self.options.longest_s)
        return 0.1 if planned is None else OVERHEAD_S + max(planned / rate, self.options.seconds)
