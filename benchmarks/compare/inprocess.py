"""A search without a server: tokenize, encode and score in one process, the ceiling of what serving can give.

`Process` runs these functions in a process of their own, which shares no thread and no memory; sessions and
indexes are loaded there once, and wait between the runs.
"""

from __future__ import annotations

import os
import signal
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Any, Literal, ParamSpec, TypeVar

import numpy as np
import numpy.typing as npt
from malgil_core.encoder import EncoderMetadata
from malgil_core.index import reader as generation
from malgil_core.index.generation import Generation
from malgil_core.ranking.cpu import CpuScorer, product_threads
from malgil_core.ranking.topk import unit
from malgil_core.ranking.types import QueryOptions
from malgil_core.text.tokenization import Tokenization
from threadpoolctl import threadpool_limits

from benchmarks.compare import rates, repositories
from server.triton import SetupError

Ids = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
P = ParamSpec("P")
T = TypeVar("T")


class Process:
    """A process that runs one function of this module after another."""

    def __enter__(self) -> Process:
        self._pool = ProcessPoolExecutor(1, get_context("spawn"), _end_with_parent)
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def call(self, function: Callable[P, T], *args: P.args, **named: P.kwargs) -> T:
        """Run `function` there and wait for what it returns."""
        return self._pool.submit(function, *args, **named).result()


@dataclass(frozen=True)
class Paths:
    """The files of a model repository that a search needs, and the name of its encoder."""

    tokenizer: Path
    model: Path
    index: Path
    encoder: str

    @classmethod
    def of(cls, repository: Path) -> Paths:
        """Paths in an exported repository.

        Raises:
            FileNotFoundError: it is not exported.
        """
        tokenizer = repository / "tokenizer" / "1"
        return cls(
            tokenizer,
            repository / "encoder" / "1" / "model.onnx",
            repositories.index(repository),
            EncoderMetadata.of(repository).name,
        )


def search_rate(paths: Paths, texts: Sequence[str], setting: rates.Setting, seconds: float) -> float:
    """Measure queries a second: tokenized, encoded and scored in batches, for so many seconds."""
    session = _session(paths.model, setting.threads, setting.spin)
    tokenization, current = _tokenization(paths.tokenizer), _generation(paths.index)

    def work() -> Callable[[Sequence[str]], int]:
        scorer = CpuScorer(current)  # holds a buffer: one for each worker

        def step(batch: Sequence[str]) -> int:
            _search(session, tokenization, current, scorer, batch)
            return len(batch)

        return step

    with threadpool_limits(product_threads(current), user_api="blas"):  # as the scorer's model does
        return rates.rate(rates.cut(texts, setting.batch), work, setting.workers, seconds)


def encode_rate(
    model: Path,
    graph: Literal["packed", "padded"],
    requests: Sequence[Ids],
    setting: rates.Setting,
    seconds: float,
    every: int = 1,
) -> float:
    """Measure requests a second through the encoder alone.

    Args:
        model: the model.onnx.
        graph: which inputs it takes.
        requests: cut into batches as they are ordered.
        setting: batch, workers and threads.
        seconds: at least so long; whole rounds of the batches are timed.
        every: takes one batch of so many, as a sample.
    """
    session = _session(model, setting.threads, setting.spin)
    feed = packed if graph == "packed" else padded

    def step(batch: Sequence[Ids]) -> int:
        session.run(["embedding"], feed(batch))
        return len(batch)

    return rates.rate(rates.cut(requests, setting.batch)[every // 2 :: every], lambda: step, setting.workers, seconds)


def token_ids(paths: Paths, texts: Sequence[str]) -> list[Ids]:
    """The ids of queries, special tokens and prompt included."""
    return _tokenization(paths.tokenizer).encode(texts, ["query"] * len(texts))


def one_by_one(paths: Paths, texts: Sequence[str], setting: rates.Setting) -> dict[str, float]:
    """Median times of single searches in milliseconds: tokenize, encode, score, and their sum."""
    session, tokenization = _session(paths.model, setting.threads, setting.spin), _tokenization(paths.tokenizer)
    current = _generation(paths.index)
    scorer = CpuScorer(current)
    times: dict[str, list[float]] = {"tokenize": [], "encode": [], "score": [], "sum": []}
    with threadpool_limits(product_threads(current), user_api="blas"):
        for text in texts[:10]:
            _search(session, tokenization, current, scorer, [text])
        for text in texts:
            started = time.perf_counter()
            ids = tokenization.encode([text], ["query"])
            tokenized = time.perf_counter()
            (embedding,) = session.run(["embedding"], packed(ids))
            encoded = time.perf_counter()
            _score(current, scorer, [text], embedding)
            scored = time.perf_counter()
            for name, spent in (
                ("tokenize", tokenized - started),
                ("encode", encoded - tokenized),
                ("score", scored - encoded),
                ("sum", scored - started),
            ):
                times[name].append(1000 * spent)
    return {name: statistics.median(values) for name, values in times.items()}


def packed(batch: Sequence[Ids]) -> dict[str, Any]:
    """The packed graph's inputs."""
    return {
        "input_ids": np.concatenate(batch),
        "lengths": np.array([[len(ids)] for ids in batch], dtype=np.int32),
    }


def padded(batch: Sequence[Ids]) -> dict[str, Any]:
    """The stock graph's inputs, padded to the longest of the batch."""
    grid = np.zeros((len(batch), max(map(len, batch))), dtype=np.int64)
    mask = np.zeros_like(grid)
    for row, shown, ids in zip(grid, mask, batch, strict=True):
        row[: len(ids)] = ids
        shown[: len(ids)] = 1
    return {"input_ids": grid, "attention_mask": mask}


def _search(
    session: Any, tokenization: Tokenization, current: Generation, scorer: CpuScorer, texts: Sequence[str]
) -> None:
    (embedding,) = session.run(["embedding"], packed(tokenization.encode(texts, ["query"] * len(texts))))
    _score(current, scorer, texts, embedding)


def _score(current: Generation, scorer: CpuScorer, texts: Sequence[str], embeddings: Floats) -> None:
    """Rank as the scorer's model does: by cosine and lexical matches, compared with the null phrases."""
    matches = current.lexical.all_matches(texts) if current.lexical else []
    scorer.rank(unit(embeddings), [QueryOptions()] * len(texts), matches)


def _end_with_parent() -> None:
    """Stop with the parent, after Ctrl-C and where it is killed: a pool's process would outlive it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    parent = parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@cache
def _session(model: Path, threads: int, spin: bool) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", str(int(spin)))
    return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])


@cache
def _tokenization(folder: Path) -> Tokenization:
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # as the tokenizer's model does
    return Tokenization.load(folder)


@cache
def _generation(index: Path) -> Generation:
    number = generation.current(index)
    if number is None:
        raise SetupError(f"{index} holds no index: run `make export` first")
    return generation.load(generation.folder_of(index, number))
