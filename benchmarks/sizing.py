"""What a server needs of memory, by encoder and phrases: measured, and as a formula (docs/sizing.md)."""

from __future__ import annotations

import functools
import json
import shutil
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import malgil
import psutil
from malgil_core.index.reader import folder_of

from benchmarks import scoring, shapes
from benchmarks.compare import houses
from server import stubs
from server.launcher import Server, free_ports
from server.triton import SetupError

MIB = 2**20
TEXTS = ("송금", "남은 용돈 어디서 봐", "이번 달 카드값이 얼마나 나왔는지 알려 줘", "ㅅㄱ")
SEARCHES, CLIENTS = 400, 32  # before memory is read: buffers grow with the batches
SWAP_SECONDS = 60.0
LOADS = 3


@dataclass(frozen=True)
class Point:
    """One measured server. MiB are proportional set sizes: shared pages are counted once.

    Attributes:
        encoder: its name.
        model_mib: size of model.onnx.
        tokenizer_json_mib: size of tokenizer.json.
        dimension: of its vectors.
        phrases: in the index.
        triton_mib: of tritonserver.
        tokenizer_mib: of the tokenizer's process.
        encoder_mib: of the encoder's.
        scorer_mib: of the scorer's, with one generation.
        swap_mib: of the scorer's at most, while a second generation of the same size takes over.
        disk_mib: of a generation's folder.
        shm_mib: in /dev/shm.
        load_s: seconds a generation takes from disk to ready to score, checksums and letters included; the median.
        takeover_s: seconds from the end of a publish to the first answer of its generation.
    """

    encoder: str
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
PHRASE_BYTES = 1_300  # of a phrase beside its vector: texts, letters, owners
SWAP_TIMES = 2.15  # generations in memory while one takes over: two, and what is being read

# Chosen so that the cells of benchmarks/results/sweep.jsonl are met within 15 % where steady, on its two cores.
OVERHEAD_S = 0.47e-3  # of a request, whatever the encoder
FLOPS = 300e9  # multiplications and additions a second that two cores do in an encoder's layers, fp32


def predicted_mib(
    model_mib: float, tokenizer_json_mib: float, dimension: int, phrases: int, swap: bool = True
) -> float:
    """Resident memory of the whole server in MiB.

    Args:
        model_mib: size of model.onnx.
        tokenizer_json_mib: size of tokenizer.json.
        dimension: of the encoder's vectors, float32.
        phrases: names included.
        swap: while a publish takes over, or at rest.
    """
    index = phrases * (dimension * 4 + PHRASE_BYTES) / MIB
    return BASE_MIB + TOKENIZER_TIMES * tokenizer_json_mib + model_mib + index * (SWAP_TIMES if swap else 1)


def flops_per_token(layers: int, hidden: int, inner: int, tokens: float) -> float:
    """What an encoder's layers cost a token: two operations for each weight, and attention to every token of the query.

    The two products of attention are 2 × hidden × tokens each: Hoffmann et al., Training Compute-Optimal Large Language
    Models (2022), appendix F.
    """
    return 2.0 * layers * (4 * hidden**2 + 2 * hidden * inner) + 4.0 * layers * hidden * tokens


def predicted_per_s(layers: int, hidden: int, inner: int, tokens: float) -> float:
    """Searches a second of a full server, with an index so small that scoring does not count.

    Args:
        layers: of the encoder.
        hidden: width of the layers.
        inner: width of the feed-forward.
        tokens: of a query, special ones and prompt included.
    """
    return 1 / (OVERHEAD_S + tokens * flops_per_token(layers, hidden, inner, tokens) / FLOPS)


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
    metadata = json.loads((source / "tokenizer/1/encoder.json").read_text(encoding="utf-8"))
    points = []
    for size in phrases:
        progress(f"{encoder}, {size:,} phrases")
        root = folder / f"{encoder}-{size}"
        index = root / "index"
        repository = houses.copy(source, root / "model_repository", index_at=index)
        generation = folder_of(index, scoring.publish(size, metadata, index))
        disk = sum(path.stat().st_size for path in generation.iterdir())
        with (root / "log").open("wb") as log, Server(repository, free_ports(), log=log) as server:
            server.wait_ready()
            _ask(server)
            held = _memory(server)
            shm = sum(region.stat().st_size for region in Path("/dev/shm").glob(f"{server.shm_prefix}*"))
            peak, takeover = _swap(server, functools.partial(scoring.publish, size, metadata, index))
        load = statistics.median(scoring.ready_seconds(generation) for _ in range(LOADS))
        points.append(
            Point(
                encoder=encoder,
                model_mib=round((repository / "encoder/1/model.onnx").stat().st_size / MIB, 1),
                tokenizer_json_mib=round((repository / "tokenizer/1/tokenizer.json").stat().st_size / MIB, 1),
                dimension=metadata["dimension"],
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
            )
        )
        shutil.rmtree(root)
    return points


def to_json(points: Sequence[Point]) -> list[dict[str, object]]:
    """The points as they are kept."""
    return [asdict(point) for point in points]


def _ask(server: Server) -> None:
    with malgil.SearchClient(server.grpc_url, timeout=60) as client, ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(lambda i: client.search(TEXTS[i % len(TEXTS)]), range(SEARCHES)))


def _memory(server: Server) -> dict[str, float]:
    """Process → MiB, stubs by their models' names."""
    held = {"tritonserver": _pss(psutil.Process(server.process.pid))}
    return held | {name.rsplit("_", 2)[0]: _pss(stub) for stub, name in stubs.of(server.process.pid).items()}


def _pss(process: psutil.Process) -> float:
    return float(process.memory_full_info().pss / MIB)


def _swap(server: Server, publish: Callable[[], int]) -> tuple[float, float]:
    """From a publish to the first answer of its generation: the most MiB that the scorer holds, and seconds.

    Raises:
        SetupError: it is not taken up within a minute.
    """
    (scorer,) = (stub for stub, name in stubs.of(server.process.pid).items() if name.startswith("scorer"))
    with malgil.SearchClient(server.grpc_url, timeout=60) as client:
        number, most = publish(), 0.0
        began = time.monotonic()
        while client.generation() != number:
            if time.monotonic() > began + SWAP_SECONDS:
                raise SetupError(f"generation {number} is not taken up within {SWAP_SECONDS:g} s")
            most = max(most, _pss(scorer))
            time.sleep(0.02)
        seconds = time.monotonic() - began
    return max(most, _pss(scorer)), seconds
