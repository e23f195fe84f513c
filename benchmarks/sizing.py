"""What a server needs of memory, by encoder and phrases: measured, and as a formula (docs/sizing.md)."""

from __future__ import annotations

import functools
import json
import re
import shutil
import statistics
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
import malgil
import numpy as np
import psutil
from malgil_core.encoder import EncoderMetadata
from malgil_core.index.reader import folder_of
from rich.table import Table
from tritonclient.grpc import InferenceServerClient, InferInput

from benchmarks import shapes, synthetic
from benchmarks.compare import repositories
from benchmarks.options import CONSOLE, FILE, Names, Numbers
from server import stubs
from server.launcher import Server
from server.ports import free_ports
from server.triton import SetupError

MIB = 2**20
TEXTS = ("송금", "남은 용돈 어디서 봐", "이번 달 카드값이 얼마나 나왔는지 알려 줘", "ㅅㄱ")
SEARCHES, CLIENTS = 400, 32  # before memory is read: buffers grow with the batches
SWAP_SECONDS = 60.0
LOADS = 3
LONG_TEXTS = 64


@dataclass(frozen=True)
class Long:
    """Memory of a server under the largest requests, MiB of all processes.

    Attributes:
        rest: after short searches.
        peak: at most, while one request is embedded.
        after: after it.
        after_many: after as many as were asked for.
    """

    rest: float
    peak: float
    after: float
    after_many: float


@dataclass(frozen=True)
class Point:
    """One measured server. MiB are what is private to a process and its part of the pages that it shares.

    Attributes:
        encoder: its name.
        precision: of its weights.
        model_mib: size of model.onnx, and of model.onnx.data where there is one.
        tokenizer_json_mib: size of tokenizer.json.
        dimension: of its vectors.
        phrases: in the index.
        triton_mib: of tritonserver.
        tokenizer_mib: of the tokenizer's process.
        encoder_mib: of the encoder's, all instances together.
        scorer_mib: of the scorer's, with one generation.
        swap_mib: of the scorer's at most, while a second generation of the same size takes over.
        disk_mib: of a generation's folder.
        shm_mib: in /dev/shm.
        load_s: median seconds a generation takes from disk to ready to score, checksums and lexical index included.
        takeover_s: seconds from the end of a publish to the first answer of its generation.
        encoders: instances of the encoder.
    """

    encoder: str
    precision: str
    model_mib: float
    tokenizer_json_mib: float
    dimension: int
    phrases: int
    triton_mib: float
    tokenizer_mib: float
    encoder_mib: float
    scorer_mib: float
    swap_mib: float
    disk_mib: float
    shm_mib: float
    load_s: float
    takeover_s: float
    encoders: int = 1

    @property
    def resident_mib(self) -> float:
        """All processes, with one generation."""
        return self.triton_mib + self.tokenizer_mib + self.encoder_mib + self.scorer_mib

    @property
    def peak_mib(self) -> float:
        """All processes, while a generation takes over."""
        return self.resident_mib - self.scorer_mib + self.swap_mib


# Chosen so that the points of benchmarks/results/sizing.json are met within 10 %.
BASE_MIB = 180.0  # tritonserver, three Pythons with their libraries, onnxruntime's buffers; nothing of encoder or index
TOKENIZER_TIMES = 19.0  # what the tokenizers library makes of tokenizer.json, times its size
INSTANCE_MIB = 30.0  # of each further instance of the encoder; the weights are in memory once
PHRASE_BYTES = 1_300  # of a phrase beside its vector: texts, keystrokes, postings
SWAP_TIMES = 2.15  # generations in memory while one takes over: two, and what is being read


def predicted_mib(
    model_mib: float, tokenizer_json_mib: float, dimension: int, phrases: int, swap: bool = True, encoders: int = 1
) -> float:
    """Resident memory of the whole server in MiB.

    Args:
        model_mib: size of model.onnx and model.onnx.data.
        tokenizer_json_mib: size of tokenizer.json.
        dimension: of the encoder's vectors, float32.
        phrases: names included.
        swap: while a publish takes over, or at rest.
        encoders: instances of the encoder.
    """
    encoder = model_mib + (encoders - 1) * INSTANCE_MIB
    index = phrases * (dimension * 4 + PHRASE_BYTES) / MIB
    return BASE_MIB + TOKENIZER_TIMES * tokenizer_json_mib + encoder + index * (SWAP_TIMES if swap else 1)


def formula_mib(point: Point, swap: bool) -> float:
    """The formula's MiB for a measured server."""
    known = (point.model_mib, point.tokenizer_json_mib, point.dimension, point.phrases)
    return predicted_mib(*known, swap, point.encoders)


def measure(
    encoder: str, phrases: Sequence[int], folder: Path, progress: Callable[[str], None] = lambda _: None
) -> list[Point]:
    """Start a server for each size of index, ask it, publish once more, and read its memory.

    Args:
        encoder: one of benchmarks.shapes.ENCODERS; made first where it is not there yet.
        phrases: sizes of the index.
        folder: an empty one, for repositories, indices and logs.
        progress: told what is being done.

    Raises:
        server.triton.SetupError: a server did not start.
    """
    source = shapes.prepare(encoder, progress)
    metadata = EncoderMetadata.of(source)
    points = []
    for size in phrases:
        progress(f"{encoder}, {size:,} phrases")
        root = folder / f"{encoder}-{size}"
        index = root / "index"
        repository = repositories.copy(source, root / "model_repository", index_at=index)
        generation = folder_of(index, synthetic.publish(size, metadata, index))
        disk = sum(path.stat().st_size for path in generation.iterdir())
        with (root / "log").open("wb") as log, Server(repository, free_ports(), log=log) as server:
            server.wait_ready()
            _ask(server)
            held = _memory(server)
            encoders = sum(name.startswith("encoder_") for name in stubs.find(server.process.pid).values())
            shm = sum(region.stat().st_size for region in Path("/dev/shm").glob(f"{server.shm_prefix}*"))
            peak, takeover = _swap(server, functools.partial(synthetic.publish, size, metadata, index))
        load = statistics.median(synthetic.ready_seconds(generation) for _ in range(LOADS))
        points.append(
            Point(
                encoder=encoder,
                precision=metadata.precision,
                model_mib=round(shapes.model_bytes(repository) / MIB, 1),
                tokenizer_json_mib=round((repository / "tokenizer/1/tokenizer.json").stat().st_size / MIB, 1),
                dimension=metadata.dimension,
                phrases=size,
                triton_mib=round(held["tritonserver"], 1),
                tokenizer_mib=round(held["tokenizer"], 1),
                encoder_mib=round(held["encoder"], 1),
                scorer_mib=round(held["scorer"], 1),
                swap_mib=round(peak, 1),
                disk_mib=round(disk / MIB, 1),
                shm_mib=round(shm / MIB, 1),
                load_s=round(load, 2),
                takeover_s=round(takeover, 2),
                encoders=encoders,
            )
        )
        shutil.rmtree(root)
    return points


def _ask(server: Server) -> None:
    with malgil.SearchClient(server.grpc_url, timeout=60) as client, ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(lambda i: client.search(TEXTS[i % len(TEXTS)]), range(SEARCHES)))


def _memory(server: Server) -> Mapping[str, float]:
    """Process → MiB, stubs by their models' names, all instances together.

    Of each process what is private to it, and its part of shared pages: a file's are divided among the processes of
    this server that map it. Unlike proportional set sizes, other servers on the machine do not lower them.
    """
    processes = {"tritonserver": psutil.Process(server.process.pid)}
    processes |= {name: stub for stub, name in stubs.find(server.process.pid).items()}
    regions = {name: process.memory_maps() for name, process in processes.items()}
    users = Counter(region.path for part in regions.values() for region in part)

    def held(region: Any) -> float:
        private = region.private_clean + region.private_dirty
        return float(private + (region.rss - private) / users[region.path])

    found: defaultdict[str, float] = defaultdict(float)
    for name, part in regions.items():
        found[re.sub(r"_\d+_\d+$", "", name)] += sum(map(held, part)) / MIB  # of all instances of a model
    return found


def _swap(server: Server, publish: Callable[[], int]) -> tuple[float, float]:
    """From a publish to the first answer of its generation: the most MiB that the scorer holds, and seconds.

    Raises:
        SetupError: it is not taken up within a minute.
    """
    with malgil.SearchClient(server.grpc_url, timeout=60) as client:
        number, most = publish(), 0.0
        began = time.monotonic()
        while client.generation() != number:
            if time.monotonic() > began + SWAP_SECONDS:
                raise SetupError(f"generation {number} is not taken up within {SWAP_SECONDS:g} s")
            most = max(most, _memory(server)["scorer"])
            time.sleep(0.02)
        seconds = time.monotonic() - began
    return max(most, _memory(server)["scorer"]), seconds


def measure_long(server: Server, requests: int, texts: int = LONG_TEXTS) -> Long:
    """Send requests of texts that fill the encoder's window, one after another, and read the memory."""
    long = np.array([["송금 한도 " * 500]] * texts, dtype=object)
    tensor = InferInput("text", long.shape, "BYTES").set_data_from_numpy(long)
    _ask(server)
    rest, after = sum(_memory(server).values()), list[float]()
    seen = [rest]
    with InferenceServerClient(server.grpc_url) as client, ThreadPoolExecutor(1) as pool:
        for _ in range(requests):
            answer = pool.submit(client.infer, "embed", [tensor])
            while not wait([answer], 0.1).done:
                if not after:
                    seen.append(sum(_memory(server).values()))
            answer.result()  # raises what the request did
            after.append(sum(_memory(server).values()))
    return Long(rest, max(seen), after[0], after[-1])


@click.command(short_help="Memory of a server by encoder and phrases.")
@click.option(
    "--encoder",
    "encoders",
    type=Names(shapes.ENCODERS),
    default=(shapes.BUNDLED,),
    metavar="A,B",
    help=f"Out of {', '.join(shapes.ENCODERS)}; the published shapes have random weights. Default: bundled.",
)
@click.option(
    "--phrases",
    "sizes",
    type=Numbers(least=7),
    default=(1_000, 10_000, 100_000),
    metavar="N,M",
    help="Index sizes. Default: 1000,10000,100000.",
)
@click.option(
    "--long-requests",
    type=click.IntRange(0),
    default=0,
    metavar="N",
    help=f"Send N requests of {LONG_TEXTS} texts that fill the window, too: minutes.  [default: none]",
)
@click.option("--json", "file", type=FILE, help="Write what was measured of the sizes.")
def sizing(encoders: Sequence[str], sizes: Sequence[int], long_requests: int, file: Path | None) -> None:
    """Measure a server's memory at rest and while a publish takes over, beside the formula of docs/sizing.md.

    And how long a publish takes to serve. Servers of its own; a minute for each size.
    """
    points: list[Point] = []
    table = Table(
        "encoder", "precision", "phrases", "at rest", "formula", "taking over", "formula", "disk", "load", "takeover",
        title="MiB, and seconds of a load and a takeover",
    )  # fmt: skip
    table.columns[0].no_wrap, table.columns[0].min_width = True, 10
    for encoder in encoders:
        with tempfile.TemporaryDirectory(prefix="malgil-sizing-") as folder, CONSOLE.status(encoder) as status:
            points += measure(encoder, sizes, Path(folder), status.update)
    for point in points:
        rest, swap = (formula_mib(point, swap) for swap in (False, True))
        figures = (point.resident_mib, rest, point.peak_mib, swap, point.disk_mib)
        seconds = (f"{figure:.2f}" for figure in (point.load_s, point.takeover_s))
        table.add_row(
            point.encoder, point.precision, f"{point.phrases:,}", *(f"{figure:,.0f}" for figure in figures), *seconds
        )
    CONSOLE.print(table)
    for encoder in encoders if long_requests else ():
        repository = shapes.prepare(encoder)
        with tempfile.TemporaryFile() as log, Server(repository, free_ports(), log=log) as server:
            server.wait_ready()
            found = measure_long(server, long_requests)
        CONSOLE.print(
            f"{encoder} in {EncoderMetadata.of(repository).precision}, requests of {LONG_TEXTS} texts that fill the "
            f"window, MiB of all processes: {found.rest:,.0f} at rest, {found.peak:,.0f} at most during one, "
            f"{found.after:,.0f} after it, {found.after_many:,.0f} after {long_requests}"
        )
    if file:
        file.write_text(json.dumps([asdict(point) for point in points], indent=2) + "\n", encoding="utf-8")
