"""Comparison d: one client's latency of a search against the sum of its steps in one process."""

from __future__ import annotations

import dataclasses
import os

from benchmarks.compare import inprocess, rates, repositories, traffic
from benchmarks.compare.load import Load
from benchmarks.compare.ratios import Ratio
from benchmarks.compare.run import Bench
from benchmarks.perf_analyzer import write_input

TARGET = 1.6


def compare(bench: Bench) -> list[Ratio]:
    """Ratio of median latencies: `search` with one client, and tokenize + encode + score, for the same queries."""
    queries = traffic.queries()
    paths = inprocess.Paths.of(repositories.REPOSITORY)
    data = write_input(bench.folder / "queries.json", [{"query": text} for text in queries])
    taken = queries[: 100 if bench.quick else len(queries)]
    parts: list[dict[str, float]] = []
    with inprocess.Process() as process, bench.serving() as server:
        bench.say("in process: choosing the number of threads")
        cores = len(os.sched_getaffinity(0))
        grid = {rates.Setting(1, 1, threads, spin) for threads, spin in ((1, False), (cores, False), (cores, True))}
        tried = {setting: process.call(inprocess.one_by_one, paths, taken, setting)["sum"] for setting in grid}
        best = min(tried, key=tried.__getitem__)

        def in_process() -> float:
            parts.append(process.call(inprocess.one_by_one, paths, taken, best))
            return parts[-1]["sum"]

        found = bench.in_turns(
            {"search": Load(server, "search", data, 1, bench.seconds).median_ms, "in process": in_process}
        )
    return [
        Ratio(
            "d",
            "search, one client's median, against tokenize + encode + score in one process",
            found["search"],
            found["in process"],
            TARGET,
            at_most=True,
            unit="ms",
            details={"encoder": paths.encoder, "in_process": dataclasses.asdict(best), "parts_ms": parts},
        )
    ]
