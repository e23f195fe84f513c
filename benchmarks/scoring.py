"""`python -m benchmarks scoring`: the time of an exact top-k by several libraries, over that of the bare product.

Each method answers the same queries: the ten best of S services with P phrases, by cosine. The bare matrix product is
run before each of them, so that a drift of the machine's speed falls on both. Needs malgil_core, torch and NumPy alone.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import click
import numpy as np
import numpy.typing as npt
from malgil_core.ranking.cpu import CpuScorer
from malgil_core.ranking.topk import unit
from malgil_core.ranking.types import QueryOptions

Floats = npt.NDArray[np.float32]
Work = Callable[[], object]
TOP_K = 10
PHRASES_PER_SERVICE = 7
BATCHES = (1, 64)
OPTIONS = {"services and thresholds": QueryOptions(TOP_K), "and surface, min_score": QueryOptions(TOP_K, "RECO", 0.05)}


@dataclass
class Matrix:
    """A random index with services, thresholds and surfaces in play (see ranking.types.Index)."""

    matrix: Floats
    service_of_row: npt.NDArray[np.int32]
    ids_padded: npt.NDArray[np.int64]
    thresholds: Floats
    surfaces: dict[str, npt.NDArray[np.bool_]]
    null: None = None


@dataclass(frozen=True)
class Result:
    """One method at one batch size: its time over the bare product's, median and spread over the runs."""

    method: str
    batch: int
    ratio: float
    low: float
    high: float
    product_ms: float


def random_matrix(phrases: int, dimension: int, seed: int = 0) -> Matrix:
    """Unit vectors in services of seven phrases; a tenth with thresholds, half of them on surface RECO."""
    rng = np.random.default_rng(seed)
    service_of_row = (np.arange(phrases) // PHRASES_PER_SERVICE).astype(np.int32)
    services = int(service_of_row[-1]) + 1
    thresholds = np.where(rng.random(services) < 0.1, 0.1, -np.inf).astype(np.float32)
    return Matrix(
        matrix=unit(rng.standard_normal((phrases, dimension), dtype=np.float32)),
        service_of_row=service_of_row,
        ids_padded=np.append(np.arange(services, dtype=np.int64), -1),
        thresholds=thresholds,
        surfaces={"RECO": rng.random(services) < 0.5},
    )


@dataclass(frozen=True)
class Contest:
    """The bare product of one batch of queries with an index, and the methods that are measured against it.

    The libraries return rows; grouping rows by service would come on top of their times.
    """

    product: Work
    methods: dict[str, Work]


def on_cpu(index: Matrix, queries: Floats) -> Contest:
    """This project's CpuScorer, NumPy, torch, and faiss where it is installed."""
    import torch

    scorer, matrix = CpuScorer(index), index.matrix
    weights, asked = torch.from_numpy(matrix), torch.from_numpy(queries)
    product = np.empty((len(queries), len(matrix)), dtype=np.float32)

    def argpartition() -> object:
        scores = queries @ matrix.T
        top = np.argpartition(scores, -TOP_K, axis=1)[:, -TOP_K:]
        return np.take_along_axis(scores, top, 1)

    methods: dict[str, Work] = {
        f"numpy, blocks (this project), {name}": partial(scorer.rank, queries, [option] * len(queries))
        for name, option in OPTIONS.items()
    }
    methods["numpy, argpartition, rows"] = argpartition
    methods["torch, topk, rows"] = lambda: torch.topk(asked @ weights.T, TOP_K)
    if find_spec("faiss"):
        import faiss

        flat = faiss.IndexFlatIP(matrix.shape[1])
        flat.add(matrix)
        methods["faiss, IndexFlatIP, rows"] = lambda: flat.search(queries, TOP_K)
    return Contest(lambda: np.matmul(queries, matrix.T, out=product), methods)


def on_torch(index: Matrix, queries: Floats, device: str = "cuda") -> Contest:
    """This project's CudaScorer, and torch in both precisions, over the product in float16.

    `device`: "cuda", or "cpu" to try the code where there is no GPU.
    """
    import torch
    from malgil_core.ranking.cuda import CudaScorer

    def finished(result: object) -> object:
        if device == "cuda":
            torch.cuda.synchronize()
        return result

    scorer = CudaScorer(index, device)
    weights, asked = (torch.from_numpy(array).to(device) for array in (index.matrix, queries))
    half_weights, half_asked = weights.half(), asked.half()
    methods: dict[str, Work] = {
        f"torch (this project), {name}": partial(scorer.rank, asked, [option] * len(queries))
        for name, option in OPTIONS.items()
    }
    methods["torch, float16, topk, rows"] = lambda: finished(torch.topk(half_asked @ half_weights.T, TOP_K))
    methods["torch, float32, topk, rows"] = lambda: finished(torch.topk(asked @ weights.T, TOP_K))
    return Contest(lambda: finished(half_asked @ half_weights.T), methods)


def measure(
    phrases: int, dimension: int, runs: int, contest: Callable[[Matrix, Floats], Contest] = on_cpu
) -> list[Result]:
    """Time every method against the bare product, in turns, for batches of 1 and 64."""
    index = random_matrix(phrases, dimension)
    results = []
    for batch in BATCHES:
        queries = unit(np.random.default_rng(1).standard_normal((batch, dimension), dtype=np.float32))
        sides = contest(index, queries)
        ratios: dict[str, list[float]] = {name: [] for name in sides.methods}
        products = []
        for run in range(runs + 1):
            for name, method in sides.methods.items():
                product, spent = seconds(sides.product), seconds(method)
                if run:  # the first is a warm-up
                    ratios[name].append(spent / product)
                    products.append(product)
        product_ms = statistics.median(products) * 1000
        results += [
            Result(name, batch, statistics.median(values), min(values), max(values), product_ms)
            for name, values in ratios.items()
        ]
    return results


def seconds(work: Work) -> float:
    """How long a call takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


@click.command(short_help="Exact top-k on a CPU: libraries as ratios to the bare matrix product.")
@click.option("--phrases", type=click.IntRange(7), default=100_000, show_default=True)
@click.option("--dimension", type=click.IntRange(1), default=768, show_default=True)
@click.option("--runs", type=click.IntRange(1), default=9, show_default=True)
def scoring(phrases: int, dimension: int, runs: int) -> None:
    """Measure how long an exact top 10 takes on a CPU, by library, over the bare matrix product.

    For a GPU there is benchmarks/gpu.py, which needs nothing but PyTorch.
    """
    from rich.table import Table

    from benchmarks.options import CONSOLE
    from benchmarks.synthetic import load_seconds

    table = Table(
        "method", "batch", "time / bare product", "lowest", "highest", "product, ms",
        title=f"exact top-{TOP_K} of {phrases:,} × {dimension}, {runs} runs",
    )  # fmt: skip
    for result in measure(phrases, dimension, runs):
        ratios = (f"{value:.2f}" for value in (result.ratio, result.low, result.high))
        table.add_row(result.method, str(result.batch), *ratios, f"{result.product_ms:.1f}")
    CONSOLE.print(table)
    with tempfile.TemporaryDirectory() as folder:
        load = load_seconds(phrases, dimension, Path(folder))
    CONSOLE.print(f"a generation of that size, from disk to ready: {load:.1f} s")
