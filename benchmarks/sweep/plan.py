"""The cells of a sweep, how many requests each takes, how long all will take, and the file of what was measured.

The file is JSON Lines, a line for each cell, with all that is needed to read its figures: `encoder`, `model`, `length`
(tokens), `concurrency` (clients), and one of

- the figures: `requests_per_s`, `latency_ms` (mean, p50, p90, p95, p99), `requests` and `window_s` (how many were
  counted, in how many seconds), `parts` and `stable` (see perf_analyzer.Load), `errors`, and `steps`: for each model
  that a request passes, its milliseconds in the queue and in compute (input, infer, output), executions, mean batch;
- `skipped`: why it was not measured;
- `failed`: what went wrong.

Beside it: `asked` (seconds, longest_s), `at` (UTC), `machine`, `versions`, `code` (commit, dirty, changes),
`encoder_facts`, `batching` (each step's settings), `texts` (how many different ones were sent).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.perf_analyzer import PARTS
from benchmarks.shapes import BUNDLED, ENCODERS, SHAPES, Shape

Line = dict[str, Any]
MODELS = ("search", "embed", "encoder")
LENGTHS = (8, 16, 32, 64, 128, 256, 512)
CONCURRENCY = (1, 16, 64, 256)
MOST_REQUESTS = 20_000  # each leaves up to 16 KB in perf_analyzer's export
OVERHEAD_S = 3.0  # of a cell: perf_analyzer's start and end, and a first load that finds the rate
# multilingual-e5-small's, for the estimate of time left.
_SHAPES = {**SHAPES, BUNDLED: Shape("bert", 250_037, 384, 384, 12, 12, 1_536)}


class SweepError(Exception):
    """The sweep cannot go on; the text says why."""


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


def cell_of(line: Line) -> Cell:
    """The cell that a line is about."""
    return Cell(line["encoder"], line["model"], line["length"], line["concurrency"])


def read(path: Path) -> list[Line]:
    """All lines of a file, none where there is no file. A last line that was cut off is left out.

    Raises:
        SweepError: another line is not JSON; the text says which.
    """
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines()
    found: list[Line] = []
    for number, line in enumerate(lines, 1):
        try:
            found.append(json.loads(line))
        except ValueError as error:
            if number < len(lines):
                raise SweepError(f"{path}:{number}: {error}") from None
    return found


def latest(lines: list[Line]) -> dict[Cell, Line]:
    """The last line of each cell, of the machine that the last line is from: figures of two are not to be mixed."""
    return {cell_of(line): line for line in lines if line["machine"] == lines[-1]["machine"]}


def append(path: Path, line: Line) -> None:
    """Add a line, on disk when this returns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        file.seek(0, os.SEEK_END)
        if file.tell():  # after a line that was cut off
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                kept = path.read_bytes()
                file.truncate(kept.rfind(b"\n") + 1)
        file.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def is_done(line: Line, code: Line, machine: Line, options: Options) -> bool:
    """Whether a cell need not be measured again: same code, same machine, and no more time than it was given."""
    same = all(line["code"][key] == code[key] for key in ("commit", "changes")) and line["machine"] == machine
    if "skipped" in line:
        return same and bool(line["asked"]["longest_s"] >= options.longest_s)
    return same and "failed" not in line and bool(line["asked"]["seconds"] >= options.seconds)
