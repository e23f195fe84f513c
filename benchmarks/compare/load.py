"""Measurements of a Triton model under load, by benchmarks.perf_analyzer."""

from __future__ import annotations

import contextlib
from pathlib import Path

from tritonclient import grpc

from benchmarks import perf_analyzer
from server.launcher import Server

PATIENCE = 20  # times the planned seconds, after which a load is given up
LEAST = 6  # requests of each client, of which the first and the last are not counted


class Load:
    """Clients of one model, each of which sends the next request as soon as the last is answered.

    Args:
        server: a running one.
        model: its name there.
        data: perf_analyzer's input file.
        clients: how many.
        seconds: about how long a measurement takes; a first, shorter one finds how many requests fill them.
    """

    def __init__(self, server: Server, model: str, data: Path, clients: int, seconds: float) -> None:
        self._server, self._model, self._data = server, model, data
        self._clients, self._seconds = clients, seconds
        self._requests: int | None = None
        self.batch: list[float] = []  # the model's mean batch in each measurement; of an ensemble 1

    def rate(self) -> float:
        """Measure answers a second."""
        return self._run().requests_per_s

    def median_ms(self) -> float:
        """Measure the median latency in milliseconds."""
        return self._run().latency_ms["p50"]

    def _run(self) -> perf_analyzer.Load:
        if self._requests is None:
            tried = self._ask(LEAST * self._clients)
            self._requests = max(LEAST * self._clients, round(tried.requests_per_s * self._seconds))
        before = self._counts()
        found = self._ask(self._requests)
        items, batches = (b - a for a, b in zip(before, self._counts(), strict=True))
        self.batch.append(items / batches)
        return found

    def _ask(self, requests: int) -> perf_analyzer.Load:
        timeout = 60 + PATIENCE * self._seconds
        return perf_analyzer.run(self._server.grpc_url, self._model, self._data, self._clients, requests, timeout)

    def _counts(self) -> tuple[int, int]:
        with contextlib.closing(grpc.InferenceServerClient(self._server.grpc_url)) as client:
            (found,) = client.get_inference_statistics(self._model).model_stats
        return found.inference_count, found.execution_count
