"""e: exact top-k with services, thresholds and surfaces in play against the bare matrix product, and how it grows."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from malgil_core.ranking.cpu import CpuScorer
from malgil_core.ranking.topk import unit
from malgil_core.ranking.types import QueryOptions

from benchmarks.compare.ratios import Ratio
from benchmarks.compare.run import Bench
from benchmarks.scoring import TOP_K, random_matrix

TARGET = 1.15
TIMES = 3  # the runs of other comparisons: these take milliseconds, and scatter more
PHRASES, DIMENSION = 100_000, 768
GROWTH = (1_000, 10_000, 100_000, 1_000_000)
GROWTH_DIMENSION = 384  # the bundled encoder's; a million rows of 768 would take 3 GB, and as much again to make
WANTS = {"thresholds": QueryOptions(TOP_K), "thresholds, surface, min_score": QueryOptions(TOP_K, "RECO", 0.05)}


def compare(bench: Bench) -> list[Ratio]:
    """Milliseconds a batch, ours over the product's, at 100,000 × 768 and from 1,000 to 1,000,000 rows of 384."""
    bench = dataclasses.replace(bench, runs=TIMES * bench.runs)
    ratios = list(_at(bench, PHRASES, DIMENSION, WANTS, TARGET))
    smallest: dict[int, Ratio] = {}
    for phrases in GROWTH[: 3 if bench.quick else 4]:
        plain = {"thresholds": WANTS["thresholds"]}
        for batch, one in zip((1, 64), _at(bench, phrases, GROWTH_DIMENSION, plain, None), strict=True):
            first = smallest.setdefault(batch, one)
            ratios.append(one)
    for batch, last in zip((1, 64), ratios[-2:], strict=True):
        first, rows = smallest[batch], GROWTH[2 if bench.quick else 3]
        times = rows / GROWTH[0]
        name = f"growth of the time, batch {batch}: {rows:,} over {GROWTH[0]:,} phrases × {GROWTH_DIMENSION}"
        ratios.append(Ratio("e", name, last.ours, first.ours, times, at_most=True, unit="ms"))
    return ratios


def _at(
    bench: Bench, phrases: int, dimension: int, options: dict[str, QueryOptions], target: float | None
) -> Iterator[Ratio]:
    bench.say(f"making {phrases:,} × {dimension}")
    index = random_matrix(phrases, dimension)
    scorer = CpuScorer(index)
    for batch in (1, 64):
        queries = unit(np.random.default_rng(1).standard_normal((batch, dimension), dtype=np.float32))
        product = np.empty((batch, phrases), dtype=np.float32)
        for name, wanted in options.items():
            # Times of a small index are microseconds: repeated until a measurement is long enough to be one.
            repeats = max(1, int(1e9 / (phrases * dimension * batch)))
            found = bench.in_turns(
                {
                    f"{phrases:,} × {dimension}, batch {batch}": partial(
                        _ms, partial(scorer.rank, queries, [wanted] * batch), repeats
                    ),
                    "bare product": partial(_ms, partial(np.matmul, queries, index.matrix.T, out=product), repeats),
                }
            )
            ours, bare = found.values()
            text = f"top {TOP_K} of {phrases:,} × {dimension}, {name}, batch {batch}, against the bare matrix product"
            yield Ratio("e", text, ours, bare, target, at_most=True, unit="ms")


def _ms(work: Callable[[], object], repeats: int) -> float:
    work()  # both sides find the caches as they themselves left them
    started = time.perf_counter()
    for _ in range(repeats):
        work()
    return 1000 * (time.perf_counter() - started) / repeats
