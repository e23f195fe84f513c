"""Engines by the number of passages: ingest, latency, throughput, memory, freshness.

Passages are paragraphs of three shuffled sentences of the sample's articles, and vectors are random: engines search
FLAT, so neither changes their work. The encoder is left out.
"""

from __future__ import annotations

import tempfile
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from malgil_core.documents.types import DocumentOptions
from malgil_core.ranking.topk import unit
from malgil_core.ranking.types import Floats

from benchmarks.documents.milvus_server import milvus
from documents import collection, lease
from documents.collection import ALIAS, State
from documents.embedded import embedded
from documents.engine import Access, Engine
from documents.ingest import Ingest, Report
from documents.passages import Splitter
from documents.records import Record
from documents.schema import Passage
from documents.search import DEPTH, Searcher

DIMENSION = 384  # of the bundled encoder
BATCH = 16
UPDATES = 5
TIMEOUT = 120.0  # of a call; the first search of milvus-lite counts the units of all passages
SEARCH_SECONDS = 30.0  # for the searches of one kind, after LEAST of them
LEAST = 3
Advance = Callable[[str, int, int], None]
ENGINES = ("milvus-lite", "milvus", "numpy")


@dataclass
class Figures:
    """Of one engine with so many passages; None: it has no such thing.

    Attributes:
        ingest: passages/s, BM25 weights included, vectors given.
        searches: timed one after another, of these:
        p50, p99: milliseconds of one search.
        rate: searches/s in batches of BATCH.
        memory: MiB of its processes, resident.
        fresh: seconds from the start of an update of one document until a search finds it, the longest of UPDATES.
    """

    engine: str
    passages: int
    ingest: float | None
    searches: int
    p50: float
    p99: float
    rate: float
    memory: float | None
    fresh: float | None

    def to_json(self) -> dict[str, Any]:
        """As it is recorded."""
        return asdict(self)


class Whole(Splitter):
    """Takes each body for one passage."""

    def __init__(self) -> None:
        self.tokens = 512

    def passages(self, title: str, body: str) -> list[Passage]:
        """The one passage."""
        return [Passage(body, 0, [len(body)], f"{title}\n{body}")]


def records(articles: Sequence[Record], count: int) -> list[Record]:
    """So many documents of a passage each."""
    rng = np.random.default_rng(0)
    sentences = [one.strip() + "." for article in articles for one in article.body.split(".") if one.strip()]
    chosen = rng.integers(len(sentences), size=(count, 3))
    first = replace(articles[0], phrases=())
    return [
        replace(first, id=f"d{at}", title=articles[at % len(articles)].title, body=" ".join(sentences[i] for i in row))
        for at, row in enumerate(chosen)
    ]


def vectors(texts: Sequence[str]) -> Floats:
    """Random unit vectors [texts, DIMENSION], the same for the same text."""
    seeds = [zlib.crc32(text.encode()) for text in texts]
    made = np.stack([np.random.default_rng(seed).standard_normal(DIMENSION, np.float32) for seed in seeds])
    return unit(made)


def exact(count: int, searches: int) -> Figures:
    """NumPy's matrix product and partition over as many vectors, the limit of the dense half of a search."""
    matrix, queries = vectors([f"p{at}" for at in range(count)]), vectors([f"q{at}" for at in range(BATCH)])

    def search(batch: Floats) -> None:
        scores = batch @ matrix.T
        np.argpartition(-scores, min(DEPTH, count - 1), axis=1)

    times = _times(lambda: search(queries[:1]), searches)
    rate = BATCH / np.median(_times(lambda: search(queries), max(searches // BATCH, 3)))
    return Figures("numpy", count, None, len(times), *_percentiles(times), float(rate), matrix.nbytes / 2**20, None)


def measure(
    name: str, documents: Sequence[Record], questions: Sequence[str], searches: int, advance: Advance
) -> Figures:
    """The figures of an engine that holds these documents.

    Args:
        name: of the engine.
        documents: of one passage each.
        questions: searched for in turns.
        searches: at most; of a slow engine as many as it answers in SEARCH_SECONDS.
        advance: called with what is done, how much of it is, and how much there is.

    Raises:
        server.triton.SetupError: the engine cannot run here.
    """
    with _running(name) as (uri, pid):
        engine = Engine(Access(uri))
        collection_name = collection.create(engine, State("", DIMENSION, 512))
        collection.point(engine, ALIAS, collection_name)
        with lease.held(engine, "ingest"):  # makes what the updates find
            pass
        started = time.perf_counter()
        _ingest(engine, documents, lambda report: advance("passages", report.passages, len(documents)))
        seconds = time.perf_counter() - started
        searcher = Searcher(engine)
        searcher.warm_up(TIMEOUT)

        def search(batch: int) -> None:
            asked = [questions[i % len(questions)] for i in range(batch)]
            searcher.search(asked, vectors(asked), [DocumentOptions()] * batch, timeout=TIMEOUT)

        times = _times(lambda: search(1), searches, advance)
        rate = BATCH / np.median(_times(lambda: search(BATCH), max(searches // BATCH, 3), advance))
        fresh = max(_freshness(uri, searcher, documents[at], at) for at in range(UPDATES))
        memory = sum(_memory(process) for process in [pid, *pid.children(recursive=True)]) / 2**20
        searcher.close()
        engine.close()
    return Figures(
        name, len(documents), len(documents) / seconds, len(times), *_percentiles(times), float(rate), memory, fresh
    )


def _ingest(
    engine: Engine, documents: Sequence[Record], advance: Callable[[Report], None] = lambda report: None
) -> None:
    name = collection.current(engine)
    assert name
    refuse: Callable[[str, str], None] = lambda place, sentence: None  # noqa: E731
    work = Ingest(engine, name, collection.read_state(engine, name), Whole(), vectors, refuse, advance)
    work.run((one.id, one) for one in documents)


def _freshness(uri: str, searcher: Searcher, document: Record, number: int) -> float:
    """Seconds from the start of an update, its connection and lease included, until a search for it finds it."""
    title = f"갱신 {number}판 {document.title}"
    vector = vectors([passage.embedded for passage in Whole().passages(title, document.body)])

    def update() -> None:
        engine = Engine(Access(uri))
        with lease.held(engine, "update"):
            _ingest(engine, [replace(document, title=title)])
        engine.close()

    started = time.perf_counter()
    with ThreadPoolExecutor(1) as pool:  # the update is seen before it has ended: it deletes the old rows later
        updating = pool.submit(update)
        seconds = float("inf")
        while time.perf_counter() - started < TIMEOUT and seconds == float("inf"):
            time.sleep(0.05)  # between two searches, which milvus-lite and the update take turns with
            found = searcher.search([title], vector, [DocumentOptions(20)], timeout=TIMEOUT)[0]
            if title in [one.title for one in found]:
                seconds = time.perf_counter() - started
        updating.result()
    return seconds


@contextmanager
def _running(name: str) -> Iterator[tuple[str, psutil.Process]]:
    """The address of an engine, and the process that it runs below."""
    with tempfile.TemporaryDirectory(prefix="malgil-documents-") as folder:
        if name == "milvus":
            with milvus(Path(folder)) as (uri, pid):
                yield uri, psutil.Process(pid)
        else:
            before = {child.pid for child in psutil.Process().children()}
            with embedded(folder) as uri:
                (process,) = [child for child in psutil.Process().children() if child.pid not in before]
                yield uri, process


def _memory(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


def _times(work: Callable[[], None], count: int, advance: Advance = lambda what, done, all: None) -> list[float]:
    times: list[float] = []
    while len(times) < count and (len(times) < LEAST or sum(times) < SEARCH_SECONDS):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
        advance("searches", len(times), count)
    return times


def _percentiles(times: Sequence[float]) -> tuple[float, float]:
    return 1000 * float(np.percentile(times, 50)), 1000 * float(np.percentile(times, 99))
