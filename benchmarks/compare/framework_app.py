"""f's other side: what a team would write first, sentence-transformers behind FastAPI.

GET /search runs each query by itself; GET /search-batched collects queries that wait, up to 64 or for 5 ms. Run by
`benchmarks.compare.framework` as `python -m benchmarks.compare.framework_app WEIGHTS INDEX PORT`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import fastapi
import torch
import uvicorn
from malgil_core.index import reader as generation
from sentence_transformers import SentenceTransformer

TOP_K = 10
MOST = 64
WAIT = 0.005  # seconds
Hits = list[dict[str, Any]]


def search_function(weights: Path, index: Path) -> Callable[[Sequence[str]], list[Hits]]:
    """Encode queries and find the nearest phrases, as one function of a batch."""
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    model = SentenceTransformer(str(weights), device="cpu").eval()
    number = generation.current(index)
    current = generation.load(generation.folder_of(index, number or 0))
    matrix = torch.from_numpy(current.matrix)
    names, paths, phrases = (
        [text.decode() for text in texts]
        for texts in (current.names_padded, current.paths_padded, current.phrases_padded)
    )

    def search(queries: Sequence[str]) -> list[Hits]:
        with torch.inference_mode():
            vectors = model.encode(
                list(queries), prompt_name="query", batch_size=MOST, convert_to_tensor=True, show_progress_bar=False
            )
            scores, rows = torch.topk(vectors @ matrix.T, TOP_K)
        services = current.service_of_row[rows.numpy()]
        ids = current.ids_padded[services]
        return [
            [
                {"id": id, "name": names[s], "path": paths[s], "phrase": phrases[row], "score": score}
                for id, s, row, score in zip(*found, strict=True)
            ]
            for found in zip(ids.tolist(), services.tolist(), rows.tolist(), scores.tolist(), strict=True)
        ]

    return search


class Batcher:
    """Collects queries into batches for one thread; while a batch is in work, the next one gathers."""

    def __init__(self, search: Callable[[Sequence[str]], list[Hits]], pool: ThreadPoolExecutor) -> None:
        self._search, self._pool = search, pool
        self._waiting: asyncio.Queue[tuple[str, asyncio.Future[Hits]]] = asyncio.Queue()

    async def ask(self, query: str) -> Hits:
        """The hits of one query, once a batch with it is through."""
        future: asyncio.Future[Hits] = asyncio.get_running_loop().create_future()
        self._waiting.put_nowait((query, future))
        return await future

    async def work(self) -> None:
        """Run batches until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            batch = [await self._waiting.get()]
            until = loop.time() + WAIT
            while len(batch) < MOST:
                if self._waiting.empty():
                    try:
                        batch.append(await asyncio.wait_for(self._waiting.get(), max(until - loop.time(), 0)))
                    except TimeoutError:
                        break
                else:
                    batch.append(self._waiting.get_nowait())
            try:
                results = await loop.run_in_executor(self._pool, self._search, [query for query, _ in batch])
            except Exception as error:  # the batch's, not the server's
                for _, future in batch:
                    future.set_exception(error)
                continue
            for (_, future), hits in zip(batch, results, strict=True):
                if not future.done():
                    future.set_result(hits)


def application(search: Callable[[Sequence[str]], list[Hits]]) -> fastapi.FastAPI:
    """The application. Both routes share one thread that calls torch, which itself takes every core."""
    pool = ThreadPoolExecutor(1)
    batcher = Batcher(search, pool)

    @contextlib.asynccontextmanager
    async def lifespan(_: fastapi.FastAPI) -> AsyncIterator[None]:
        task = asyncio.create_task(batcher.work())
        yield
        task.cancel()

    app = fastapi.FastAPI(lifespan=lifespan)

    # Ready JSON, past FastAPI's validation of what is returned: that would cost every request.
    @app.get("/search")
    async def one(query: str) -> fastapi.Response:
        (hits,) = await asyncio.get_running_loop().run_in_executor(pool, search, [query])
        return fastapi.responses.JSONResponse(hits)

    @app.get("/search-batched")
    async def batched(query: str) -> fastapi.Response:
        return fastapi.responses.JSONResponse(await batcher.ask(query))

    return app


if __name__ == "__main__":
    app = application(search_function(Path(sys.argv[1]), Path(sys.argv[2])))
    uvicorn.run(app, port=int(sys.argv[3]), loop="uvloop", http="httptools", access_log=False, log_level="warning")
