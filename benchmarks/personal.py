"""`python -m benchmarks personal`: the throughput of searches with a personal layer on each, over that without."""

from __future__ import annotations

import random
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import click
import malgil
import numpy as np
from malgil_core.catalog.reading import read
from malgil_core.index.generation import Generation
from malgil_core.index.reader import current, folder_of, load
from malgil_core.ranking.cpu import CpuScorer, product_threads
from malgil_core.ranking.request import SearchRequest
from malgil_core.ranking.topk import unit
from malgil_core.ranking.types import QueryOptions
from malgil_core.serving.batch import answer
from malgil_core.serving.follower import Serving
from malgil_core.serving.metrics import Metrics
from rich.table import Table
from threadpoolctl import threadpool_limits

from benchmarks import CATALOG, QUERIES, ROOT, SLIPS, machine, pages, perf_analyzer
from benchmarks.null_phrases import NoFamily
from benchmarks.options import CONSOLE, FILE
from benchmarks.serving import serving
from export.catalog import labelled
from export.catalog.noise import with_noise

MOST = 2000  # different queries
LAYERS = 64  # different layers
SECONDS = 300.0  # after which a run is given up
GOAL = 0.95
BATCHES = {1: 400, 64: 60}  # queries of a batch → turns
SIDES = ("a layer on each", "a layer on every other")


@dataclass(frozen=True)
class Ratio:
    """A side over the other: the median of the turns, and the spread."""

    name: str
    median: float
    low: float
    high: float
    turns: int

    @classmethod
    def of(cls, name: str, ratios: Sequence[float]) -> Ratio:
        """The figures of some turns."""
        return cls(name, statistics.median(ratios), min(ratios), max(ratios), len(ratios))


def random_layers(dimension: int, encoder: str, count: int = LAYERS) -> list[malgil.PersonalLayer]:
    """Layers after twenty choices at random: numbers everywhere."""
    rng = np.random.default_rng(0)
    made = []
    for _ in range(count):
        layer = malgil.PersonalLayer.zero(dimension, encoder=encoder)
        for _ in range(20):
            vectors = unit(rng.normal(size=(6, dimension)).astype(np.float32) + 4)
            layer.learn(vectors[0], vectors[1:], int(rng.integers(1, 5)))
        made.append(layer)
    return made


def throughput(
    url: str, queries: Sequence[str], turns: int, requests: int, clients: int, say: Callable[[str], None]
) -> list[Ratio]:
    """Requests/s with layers over those without, in pairs, the first of a pair alternating."""
    with malgil.SearchClient(url, timeout=60) as client:
        zero = client.new_layer()
    layers = [layer.to_bytes() for layer in random_layers(zero.dimension, zero.encoder)]
    found: dict[str, list[float]] = {name: [] for name in SIDES}
    with tempfile.TemporaryDirectory(prefix="malgil-load-") as folder:
        files = {}
        for name, every in (("none", 0), (SIDES[0], 1), (SIDES[1], 2)):
            steps: list[dict[str, str | bytes]] = [
                {"query": query, **({"personal": layers[i % LAYERS]} if every and i % every == 0 else {})}
                for i, query in enumerate(queries)
            ]
            files[name] = perf_analyzer.write_input(Path(folder, f"{every}.json"), steps)
        for turn in range(turns):
            for name in SIDES:
                rates = {}
                for side in (name, "none") if turn % 2 else ("none", name):
                    rates[side] = perf_analyzer.run(
                        url, "search", files[side], clients, requests, SECONDS
                    ).requests_per_s
                found[name].append(rates[name] / rates["none"])
                say(f"{name}: {rates[name]:.0f} requests/s, without {rates['none']:.0f}: {found[name][-1]:.3f}")
    return [Ratio.of(name, ratios) for name, ratios in found.items()]


@dataclass(frozen=True)
class Cost:
    """The CPU time of `serving.batch.answer` for one batch, in milliseconds without layers, and the ratio with them."""

    batch: int
    without_ms: float
    ratio: Ratio


def costs(generation: Generation, queries: Sequence[str], embeddings: Any) -> list[Cost]:
    """What a layer on each query costs in the batch, lexical match and null phrases included, in this process."""
    serve, metrics = Serving(generation, CpuScorer(generation)), Metrics(NoFamily)
    layers = [layer.vector for layer in random_layers(generation.dimension, generation.encoder)]
    rng = np.random.default_rng(0)
    found = []
    with threadpool_limits(product_threads(generation), user_api="blas"):  # as the scorer's model does
        for batch, turns in BATCHES.items():
            times: dict[bool, list[float]] = {True: [], False: []}
            for turn in range(turns):
                rows = rng.choice(len(queries), batch)
                plain = SearchRequest(
                    [queries[row] for row in rows], embeddings[rows], [QueryOptions()] * batch, [None] * batch
                )
                own = replace(plain, layers=[layers[i % LAYERS] for i in range(batch)])
                for on in (True, False) if turn % 2 else (False, True):
                    started = time.process_time()
                    answer(serve, [own if on else plain], metrics)
                    times[on].append(time.process_time() - started)
            ratios = [a / b for a, b in zip(times[True][2:], times[False][2:], strict=True)]
            found.append(Cost(batch, 1000 * statistics.median(times[False]), Ratio.of(f"batch of {batch}", ratios)))
    return found


def learning_us(dimension: int, steps: int = 2000) -> float:
    """Microseconds of a step of learning from the third of ten hits, the median."""
    rng = np.random.default_rng(0)
    vectors = unit(rng.normal(size=(11, dimension)).astype(np.float32) + 4)
    layer, times = malgil.PersonalLayer.zero(dimension), []
    for _ in range(steps):
        started = time.perf_counter()
        layer.learn(vectors[0], vectors[1:], 2)
        times.append(time.perf_counter() - started)
    return 1e6 * statistics.median(times)


@click.command(short_help="Throughput with a personal layer on each search over that without; its cost in the batch.")
@click.option("--turns", type=click.IntRange(1), default=10, show_default=True)
@click.option("--requests", type=click.IntRange(1), default=3000, show_default=True, help="Of each run.")
@click.option("--clients", type=click.IntRange(1), default=64, show_default=True)
@click.option("--url", help="gRPC HOST:PORT of a running server. Default: start one.")
@click.option("--note", default="", help="Shown on the page, such as what else ran meanwhile.")
@click.option("--json", "file", type=FILE, help="Write the figures there, and a page beside it.")
def personal(turns: int, requests: int, clients: int, url: str | None, note: str, file: Path | None) -> None:
    """Measure what personal layers cost a whole server, by perf_analyzer in pairs, and what they cost in the batch.

    The queries are the labelled ones, and what becomes of them when people type and mistype.
    """
    asked = with_noise([one for source in (QUERIES, SLIPS) for one in labelled.read(source)], read(CATALOG))
    queries = [one.query for one in asked]
    random.Random(0).shuffle(queries)
    with serving(url) as found:
        pairs = throughput(found, queries[:MOST], turns, requests, clients, CONSOLE.print)
        with malgil.SearchClient(found, timeout=60) as client:
            vectors = client.embed(queries[:500])
    index = ROOT / "index"
    number = current(index)
    batches = costs(load(folder_of(index, number)), queries[:500], vectors) if number is not None else []
    result = {
        "machine": machine.machine(), "code": machine.code(), "note": note, "clients": clients, "goal": GOAL,
        "throughput": [asdict(one) for one in pairs],
        "batches": [asdict(one) for one in batches],
        "learning_us": {str(dimension): learning_us(dimension) for dimension in (384, 768)},
    }  # fmt: skip
    table = Table("searches/s over those without layers", "median", "lowest", "highest")
    for one in pairs:
        table.add_row(one.name, *(f"{value:.3f}" for value in (one.median, one.low, one.high)))
    CONSOLE.print(table)
    for cost in batches:
        CONSOLE.print(f"{cost.ratio.name}: {cost.without_ms:.2f} ms without layers, {cost.ratio.median:.2f} times with")
    pages.write(file, result, page)


def page(result: Mapping[str, Any]) -> str:
    """The page, in Markdown."""
    pairs = [
        f"| {one['name']} | {one['median']:.3f} | {one['low']:.3f} | {one['high']:.3f} | {one['turns']} |"
        for one in result["throughput"]
    ]
    batches = [
        f"| {one['batch']} | {one['without_ms']:.2f} | {one['ratio']['median']:.2f} | {one['ratio']['low']:.2f} | "
        f"{one['ratio']['high']:.2f} |"
        for one in result["batches"]
    ]
    steps = ", ".join(f"{value:.0f} µs at D = {dimension}" for dimension, value in result["learning_us"].items())
    parts = [
        "# Personal layers: cost",
        pages.made_by("personal", result, ", clients and server on the same machine"),
        *([result["note"]] if result["note"] else []),
        f"Searches/s of {result['clients']} clients with layers over those without, in pairs of runs; {LAYERS} "
        f"different layers, sent as bytes. The goal is {result['goal']} with a layer on each.",
        "\n".join(
            ["| searches with | median | lowest | highest | pairs |", "| --- | ---: | ---: | ---: | ---: |", *pairs]
        ),
        "CPU time of ranking a batch (lexical match, null phrases and answer included, no encoder) in one process:",
        "\n".join(
            [
                "| queries | without layers, ms | with, times | lowest | highest |",
                "| ---: | ---: | ---: | ---: | ---: |",
                *batches,
            ]
        ),
        f"A step of learning on the device: {steps}.",
    ]
    return "\n\n".join(parts) + "\n"
