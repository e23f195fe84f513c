"""The file of a sweep: JSON Lines, a line for each cell, with all that is needed to read its figures.

A line has `encoder`, `model`, `length` (tokens) and `concurrency` (clients), and one of

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
from pathlib import Path
from typing import Any

from benchmarks.sweep_plan import Cell, Options, SweepError

Line = dict[str, Any]


def cell_of(line: Line) -> Cell:
    """Which cell a line is about."""
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
