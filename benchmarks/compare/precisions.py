"""Comparison h: the bundled encoder in int8 against fp32, in process, one query at a time and in full batches."""

from __future__ import annotations

import os
from functools import partial

from benchmarks import shapes
from benchmarks.compare import inprocess, rates, traffic
from benchmarks.compare.ratios import Ratio
from benchmarks.compare.run import Bench

TARGET = 1.5  # from here on int8 is worth its rounding
BATCHES = (1, 64)


def compare(bench: Bench) -> list[Ratio]:
    """Ratios of queries a second through the encoder alone, for the labelled queries' ids."""
    encoders = {p: inprocess.Paths.of(shapes.prepare(shapes.BUNDLED, bench.say, p)) for p in ("int8", "fp32")}
    with inprocess.Process() as process:
        ids = process.call(inprocess.token_ids, encoders["fp32"], traffic.queries())
        return [_at(bench, process, encoders, ids, batch) for batch in BATCHES]


def _at(
    bench: Bench, process: inprocess.Process, encoders: dict[str, inprocess.Paths], ids: list[inprocess.Ids], batch: int
) -> Ratio:
    setting = rates.Setting(batch, 1, len(os.sched_getaffinity(0)), spin=False)

    def rate(paths: inprocess.Paths) -> float:
        return process.call(inprocess.encode_rate, paths.model, "packed", ids, setting, bench.seconds)

    found = bench.in_turns({precision: partial(rate, paths) for precision, paths in encoders.items()})
    name = f"bundled encoder in process, batch {batch}: int8 against fp32"
    return Ratio("h", name, found["int8"], found["fp32"], TARGET, details={"threads": setting.threads})
