"""Rates of work in one process: layouts of batches and threads, the best of them, and a steady rate."""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")
BATCHES = (16, 32, 64, 128)


@dataclass(frozen=True)
class Setting:
    """A layout of the work.

    Attributes:
        batch: items encoded at once.
        workers: batches in work at the same time, on one session.
        threads: onnxruntime's intra-op threads; 1 runs in the worker's own thread, 0 stands for one a core.
        spin: whether those threads spin while they wait, onnxruntime's default, faster where nothing else runs.
    """

    batch: int
    workers: int
    threads: int
    spin: bool = True


def settings(quick: bool) -> list[Setting]:
    """The grid that is searched for the best: cores spent within a batch, or on batches side by side."""
    cores = len(os.sched_getaffinity(0))
    shapes = dict.fromkeys([(1, cores), (cores, 1), (1, 1)])
    return [Setting(batch, *shape) for shape in shapes for batch in ((64,) if quick else BATCHES)]


def best(
    grid: Sequence[Setting], measure: Callable[[Setting], float], advance: Callable[[str], None] = lambda _: None
) -> Setting:
    """The setting with the highest rate."""
    rates = {}
    for setting in grid:
        advance(f"in process: batch {setting.batch}, {setting.workers} workers × {setting.threads} threads")
        rates[setting] = measure(setting)
    return max(rates, key=rates.__getitem__)


def cut(items: Sequence[T], size: int) -> list[Sequence[T]]:
    """Batches of `size`; what does not fill one is left out, unless it is all there is."""
    return [items[at : at + size] for at in range(0, max(len(items) - size, 0) + 1, size)]


def rate(batches: Sequence[T], work: Callable[[], Callable[[T], int]], workers: int, seconds: float) -> float:
    """Measure items a second of all workers, over whole rounds of the batches: those of one round need not be alike.

    Args:
        batches: taken in turns by whichever worker is free.
        work: makes the function that a worker calls with each batch, and that returns how many items it had.
        workers: threads.
        seconds: the round in which they are over is the last.
    """
    places = itertools.cycle(range(len(batches)))
    turn = threading.Lock()
    over = False

    def following(started: float) -> int | None:
        nonlocal over
        with turn:
            if not over:
                place = next(places)
                over = place == 0 and time.perf_counter() - started >= seconds
            return None if over else place

    def run(_: int) -> float:
        step = work()
        step(batches[-1])  # a warm-up
        started, done = time.perf_counter(), 0
        while (place := following(started)) is not None:
            done += step(batches[place])
        return done / (time.perf_counter() - started)

    with ThreadPoolExecutor(workers) as pool:
        return sum(pool.map(run, range(workers)))
