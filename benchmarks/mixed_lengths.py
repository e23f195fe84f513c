"""`python -m benchmarks mixed-lengths`: a batch of mixed lengths in the graph, over the same cut into runs.

In process, one onnxruntime session, batches of 64 as Triton's ONNX Runtime backend forms them. The baseline sorts a
batch by length and cuts it outside the graph, at most 768 tokens and 1,536 cells of its grid in a run.
"""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt
import onnxruntime
import psutil
from malgil_core.encoder import EncoderMetadata
from rich.table import Table

from benchmarks import ROOT
from benchmarks.options import CONSOLE, FOLDER

RUN_TOKENS, RUN_CELLS = 768, 1536
SHORT = (6, 16)  # tokens of a short query, the second not included
LONG = 75
ROUNDS = 9
MIB = 2**20

Ids = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Row:
    """One kind of batch. Ratios are of medians over rounds in turn: below 1, the graph is cheaper than the runs.

    Attributes:
        batch: what is in it.
        runs_ms: milliseconds of the batch cut into runs.
        elapsed: the graph's time over that of the runs.
        cpu: the same of CPU time.
        difference: the largest of any number between the two.
    """

    batch: str
    runs_ms: float
    elapsed: float
    cpu: float
    difference: float


@dataclass(frozen=True)
class Memory:
    """Resident memory of the process in MiB: after a short query, and at most above it and left during long texts."""

    rest: float
    peak: float
    after: float


def runs(lengths: Sequence[int]) -> list[list[int]]:
    """Which items of a batch run together when it is cut outside the graph."""
    cut: list[list[int]] = []
    tokens = 0
    for i in sorted(range(len(lengths)), key=lengths.__getitem__):
        longer = tokens + lengths[i]
        if not cut or longer > RUN_TOKENS or (len(cut[-1]) + 1) * lengths[i] > RUN_CELLS:
            cut.append([])
            longer = lengths[i]
        cut[-1].append(i)
        tokens = longer
    return cut


def open_session(model: Path, threads: int = 0) -> Callable[[Sequence[Ids]], Floats]:
    """A function that embeds a batch as the drop-in backend does."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session: Any = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])

    def embed(batch: Sequence[Ids]) -> Floats:
        lengths = np.array([[len(ids)] for ids in batch], np.int32)
        feed = {"input_ids": np.concatenate(batch), "lengths": lengths}
        embedding: Floats = session.run(["embedding"], feed)[0]
        return embedding

    return embed


def batches(vocabulary: int = 20_000) -> dict[str, list[Ids]]:
    """Batches by what is in them; the same every time."""
    rng = np.random.default_rng(1)
    short = [int(n) for n in rng.integers(*SHORT, size=64)]
    lengths = {
        "1 short": short[:1],
        "64 short": short,
        f"64, of each 16 one of {LONG}": [LONG if i % 16 == 0 else n for i, n in enumerate(short)],
        "64 of 6 to 80": [int(n) for n in rng.integers(6, 81, size=64)],
        "63 short and one of 512": [*short[1:], 512],
    }
    return {name: [rng.integers(4, vocabulary, size=n) for n in sizes] for name, sizes in lengths.items()}


def measure(model: Path, rounds: int = ROUNDS, threads: int = 0) -> list[Row]:
    """The graph whole against runs cut outside it, for each kind of batch."""
    embed = open_session(model, threads)

    def in_runs(batch: Sequence[Ids]) -> Floats:
        cut = runs([len(ids) for ids in batch])
        together = np.concatenate([embed([batch[i] for i in run]) for run in cut])
        placed: Floats = together[np.argsort(np.concatenate(cut))]
        return placed

    rows = []
    for name, batch in batches().items():
        difference = float(np.abs(embed(batch) - in_runs(batch)).max())  # and warms both
        times: dict[Any, list[tuple[float, float]]] = {embed: [], in_runs: []}
        for _ in range(rounds):
            for way, taken in times.items():
                elapsed, cpu = time.perf_counter(), time.process_time()
                way(batch)
                taken.append((time.perf_counter() - elapsed, time.process_time() - cpu))
        whole, cut = ([statistics.median(part) for part in zip(*taken, strict=True)] for taken in times.values())
        rows.append(Row(name, cut[0] * 1e3, whole[0] / cut[0], whole[1] / cut[1], difference))
    return rows


def measure_memory(model: Path, items: int = 64, tokens: int = 512) -> Memory:
    """Memory of this process before, while and after it embeds one batch of long texts."""
    embed, process = open_session(model), psutil.Process()
    embed([np.arange(9)])
    rest = process.memory_info().rss
    seen, done = [rest], threading.Event()

    def watch() -> None:
        while not done.wait(0.01):
            seen.append(process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    embed([np.full(tokens, 5 + i) for i in range(items)])
    done.set()
    watcher.join()
    after = process.memory_info().rss
    seen.append(after)
    return Memory(rest / MIB, (max(seen) - rest) / MIB, (after - rest) / MIB)


@click.command("mixed-lengths", short_help="Batches of mixed lengths: the graph over runs of like length.")
@click.option(
    "--repository", type=FOLDER, default=ROOT / "model_repository", help="Whose encoder.  [default: model_repository]"
)
@click.option("--rounds", type=click.IntRange(1), default=ROUNDS, show_default=True)
def mixed_lengths(repository: Path, rounds: int) -> None:
    """Measure batches of mixed lengths in one process: the exported graph, over the same batch cut into runs.

    Below 1, the graph is cheaper. Beside other work, trust the ratio of CPU time.
    """
    precision = EncoderMetadata.of(repository).precision
    model = repository / "encoder" / "1" / "model.onnx"
    memory = measure_memory(model)
    table = Table(
        "batch", "in runs, ms", "elapsed / runs", "CPU / runs", "difference", title=f"{precision}, {rounds} rounds"
    )
    for row in measure(model, rounds):
        ratios = (f"{value:.2f}" for value in (row.elapsed, row.cpu))
        table.add_row(row.batch, f"{row.runs_ms:.1f}", *ratios, f"{row.difference:.1e}")
    CONSOLE.print(table)
    CONSOLE.print(
        f"64 x 512 tokens: {memory.rest:.0f} MiB at rest, {memory.peak:+.0f} at most, {memory.after:+.0f} after"
    )
