"""What another precision or vocabulary costs and saves: two exported repositories, measured side by side."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from malgil_core.catalog import reading as catalog

from export import ROOT
from export.encoder import parity

KORSTS = Path("korsts") / "sts-test.tsv"  # in the folder that --data names
BATCHES = (1, 32)
TEXTS = 64
ROUNDS = 11

Ids = list[npt.NDArray[np.int64]]


@dataclass(frozen=True)
class Cost:
    """One line of the comparison: what it is, before, after, and the ratio where there is one."""

    what: str
    before: str
    after: str
    ratio: str = ""


def compare(
    before: Path, after: Path, data: Path | None = None, progress: Callable[[str], None] = lambda _: None
) -> Iterator[Cost]:
    """Measure two model repositories that hold exports of one source.

    Args:
        before: the model repository to compare with: fp32 and all pieces.
        after: the model repository in question.
        data: a folder with KORSTS, for the rank correlation on its 1,379 pairs; none is measured without.
        progress: told what is being done.
    """
    progress("loading each in a process of its own")
    one, other = _footprint(before), _footprint(after)
    yield Cost("word pieces", f"{_pieces(before):,}", f"{_pieces(after):,}")
    for what, form in (("model.onnx, MiB", ".0f"), ("load, s", ".2f"), ("memory, MiB", ".0f"), ("at most, MiB", ".0f")):
        ratio = f"{other[what] / one[what]:.2f}" if one[what] else ""
        yield Cost(what, f"{one[what]:{form}}", f"{other[what]:{form}}", ratio)
    for batch in BATCHES:
        progress(f"timing batches of {batch}")
        yield _speed(before, after, batch)
    if data is not None:
        progress("KorSTS")
        scores = [korsts(repository, data / KORSTS) for repository in (before, after)]
        yield Cost("KorSTS, 100 × Spearman", *(f"{score:.2f}" for score in scores))


def korsts(repository: Path, file: Path) -> float:
    """100 × Spearman of an exported encoder on a KorSTS file, offline; see `benchmarks.korsts`."""
    from benchmarks import korsts as benchmark

    first, second, scores = benchmark.read(file)
    ids, run = _encode(repository, first + second), parity.onnx_runner(str(_model(repository)))
    order = np.argsort([len(item) for item in ids])  # like lengths together: less is padded in attention
    parts = [order[i : i + 32] for i in range(0, len(order), 32)]
    vectors = np.concatenate([run([ids[i] for i in part]) for part in parts])[np.argsort(order)]
    return benchmark.correlation(vectors[: len(first)], vectors[len(first) :], scores)


def _speed(before: Path, after: Path, batch: int) -> Cost:
    """Milliseconds a text, in turns, so that whatever else the machine does falls on both."""
    texts = mixed_texts()
    encoders = [(_encode(r, texts), parity.onnx_runner(str(_model(r)))) for r in (before, after)]
    times = np.empty((ROUNDS + 1, 2))
    for i in range(ROUNDS + 1):
        for j, (ids, run) in enumerate(encoders):
            began = time.perf_counter()
            for start in range(0, len(ids), batch):
                run(ids[start : start + batch])
            times[i, j] = (time.perf_counter() - began) / len(ids) * 1e3
    times = times[1:]  # the first round pages the weights in
    low, middle, high = np.percentile(times[:, 0] / times[:, 1], (10, 50, 90))
    one, other = np.median(times, axis=0)
    name = "ms a text, alone" if batch == 1 else f"ms a text, {batch} a batch"
    return Cost(name, f"{one:.2f}", f"{other:.2f}", f"{middle:.2f}× ({low:.2f}…{high:.2f})")


def mixed_texts() -> list[str]:
    """Phrases of the sample catalogue, every eighth with some more after it: mean near 14 tokens, at most some 80."""
    services = catalog.read(ROOT / "catalogs" / "finance.jsonl")
    phrases = [text for service in services for text in service.texts]
    phrases = phrases[:: len(phrases) // TEXTS][:TEXTS]
    return [" ".join(phrases[i : i + 2 + i % 5]) if i % 8 == 0 else phrases[i] for i in range(len(phrases))]


def _encode(repository: Path, texts: list[str]) -> Ids:
    from malgil_core.text.tokenization import Tokenization

    return Tokenization.load(repository / "tokenizer" / "1").encode(texts, ["query"] * len(texts))


def _model(repository: Path) -> Path:
    return repository / "encoder" / "1" / "model.onnx"


def _pieces(repository: Path) -> int:
    from tokenizers import Tokenizer

    return int(Tokenizer.from_file(str(repository / "tokenizer" / "1" / "tokenizer.json")).get_vocab_size())


def _footprint(repository: Path) -> dict[str, float]:
    """Size, load time and memory of a session that has answered once, in a fresh process."""
    command = [sys.executable, "-m", "export.encoder.costs", str(_model(repository))]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    measured: dict[str, float] = json.loads(ended.stdout)
    return measured


def _load(model: Path) -> dict[str, float]:
    import onnxruntime  # noqa: F401  # before memory is read

    def memory(name: str) -> int:
        """VmRSS (now) or VmHWM (at most) of this process, KiB."""
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(name))

    with model.open("rb") as stream:  # so that the disk is not what is measured
        while stream.read(1 << 24):
            pass
    empty, began = memory("VmRSS"), time.perf_counter()
    run = parity.onnx_runner(str(model))
    loaded = time.perf_counter() - began
    run([np.arange(8)])
    return {
        "model.onnx, MiB": model.stat().st_size / 2**20,
        "load, s": loaded,
        "memory, MiB": (memory("VmRSS") - empty) / 2**10,
        "at most, MiB": (memory("VmHWM") - empty) / 2**10,
    }


if __name__ == "__main__":
    print(json.dumps(_load(Path(sys.argv[1]))))
