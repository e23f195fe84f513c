"""`python -m benchmarks scoring`: which library finds the exact top-k fastest on a CPU, as ratios to the bare product.

Each method answers the same queries: the ten best of S services with P phrases, by cosine. The bare matrix product is
run before each of them, so that a drift of the machine's speed falls on both.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from malgil_core.catalog.reading import Service
from malgil_core.index import reader as generation
from malgil_core.index import writer as generations
from malgil_core.ranking.cpu import CpuScorer
from malgil_core.ranking.topk import unit
from malgil_core.ranking.types import QueryOptions

Floats = npt.NDArray[np.float32]
TOP_K = 10
PHRASES_PER_SERVICE = 7


@dataclass
class Matrix:
    """A random index with services, thresholds and surfaces in play (see scoring.Index)."""

    matrix: Floats
    service_of_row: npt.NDArray[np.int32]
    ids_padded: npt.NDArray[np.int64]
    thresholds: Floats
    surfaces: dict[str, npt.NDArray[np.bool_]]


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
    owners = (np.arange(phrases) // PHRASES_PER_SERVICE).astype(np.int32)
    services = int(owners[-1]) + 1
    thresholds = np.where(rng.random(services) < 0.1, 0.1, -np.inf).astype(np.float32)
    return Matrix(
        matrix=unit(rng.standard_normal((phrases, dimension), dtype=np.float32)),
        service_of_row=owners,
        ids_padded=np.append(np.arange(services, dtype=np.int64), -1),
        thresholds=thresholds,
        surfaces={"RECO": rng.random(services) < 0.5},
    )


def methods(index: Matrix) -> dict[str, Callable[[Floats], object]]:
    """What is measured. The libraries return rows; grouping rows by service would come on top of their times."""
    import faiss
    import torch

    scorer = CpuScorer(index)
    flat = faiss.IndexFlatIP(index.matrix.shape[1])
    flat.add(index.matrix)
    weights = torch.from_numpy(index.matrix)
    options = {"all": QueryOptions(TOP_K), "surface and min_score": QueryOptions(TOP_K, "RECO", 0.05)}

    def argpartition(queries: Floats) -> object:
        scores = queries @ index.matrix.T
        top = np.argpartition(scores, -TOP_K, axis=1)[:, -TOP_K:]
        return np.take_along_axis(scores, top, 1)

    def torch_topk(queries: Floats) -> object:
        with torch.inference_mode():
            return torch.topk(torch.from_numpy(queries) @ weights.T, TOP_K)

    return {
        "numpy, blocks (this project), services and thresholds": lambda q: scorer.rank(q, [options["all"]] * len(q)),
        "numpy, blocks (this project), and surface, min_score": lambda q: scorer.rank(
            q, [options["surface and min_score"]] * len(q)
        ),
        "numpy, argpartition, rows": argpartition,
        "torch, topk, rows": torch_topk,
        "faiss, IndexFlatIP, rows": lambda q: flat.search(q, TOP_K),
    }


def measure(phrases: int, dimension: int, batches: tuple[int, ...], runs: int) -> list[Result]:
    """Time every method against the bare product, in turns."""
    index = random_matrix(phrases, dimension)
    results = []
    for batch in batches:
        queries = unit(np.random.default_rng(1).standard_normal((batch, dimension), dtype=np.float32))
        product = np.empty((batch, phrases), dtype=np.float32)
        ratios: dict[str, list[float]] = {}
        products = []
        candidates = methods(index)
        for run in range(runs + 1):
            for name, method in candidates.items():
                base = _seconds(lambda: np.matmul(queries, index.matrix.T, out=product))  # noqa: B023
                spent = _seconds(lambda: method(queries))  # noqa: B023
                if run:  # the first is a warm-up
                    ratios.setdefault(name, []).append(spent / base)
                    products.append(base)
        for name, values in ratios.items():
            results.append(
                Result(
                    name, batch, statistics.median(values), min(values), max(values),
                    statistics.median(products) * 1000,
                )
            )  # fmt: skip
    return results


def load_seconds(phrases: int, dimension: int, folder: Path) -> float:
    """How long a generation of that size takes from disk to ready to score, checksums and letters included."""
    encoder = {"name": "random", "fingerprint": "random", "dimension": dimension}
    return ready_seconds(generation.folder_of(folder, publish(phrases, encoder, folder)))


def ready_seconds(folder: Path) -> float:
    """How long the generation in this folder takes from disk to ready to score, checksums and letters included."""
    return _seconds(lambda: CpuScorer(generation.load(folder)))


def publish(phrases: int, encoder: Mapping[str, Any], index: Path) -> int:
    """Publish a catalogue of so many made-up phrases, with random vectors; the generation's number.

    `encoder`: metadata, of which name, fingerprint and dimension are looked at.
    """
    rng = np.random.default_rng(0)
    services = [
        Service(
            i, None, f"s{i}", f"서비스 {i}", f"서비스 {i}", True,
            tuple(f"{i}의 {j}번째 문장" for j in range(PHRASES_PER_SERVICE - 1)), "", (), None,
        )
        for i in range(phrases // PHRASES_PER_SERVICE)
    ]  # fmt: skip
    shape = encoder["dimension"]
    return generations.publish(
        services, index, encoder, lambda texts: rng.standard_normal((len(texts), shape), dtype=np.float32)
    )


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
