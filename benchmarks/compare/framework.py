"""Comparison f: sentence-transformers behind FastAPI, with the same weights and index.

Both sides are asked over HTTP by the same client, so that both pay the same for it.
"""

from __future__ import annotations

import contextlib
import json
import sys
import urllib.parse
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from benchmarks.compare import http_load, inprocess, padded, repositories, traffic
from benchmarks.compare.ratios import Ratio
from benchmarks.compare.run import Bench
from server.ports import free_ports

CLIENTS = 64
TARGET = 3.0
ROUTES = {"one request at a time": "search", "batched by asyncio": "search-batched"}


def compare(bench: Bench) -> list[Ratio]:
    """Ratios of queries a second; the better of the two ways of batching comes first."""
    paths = inprocess.Paths.of(repositories.REPOSITORY)
    weights = padded.bundled_weights(repositories.REPOSITORY, bench.say)
    queries = traffic.queries()
    with inprocess.Process() as process, bench.serving() as server, application(bench, weights, paths.index) as url:
        asked = {"malgil": [triton_request(server.http_url, query) for query in queries]} | {
            name: [application_request(f"{url}/{route}", query) for query in queries] for name, route in ROUTES.items()
        }
        found = bench.in_turns(
            {
                name: partial(process.call, http_load.rate, requests, CLIENTS, bench.seconds)
                for name, requests in asked.items()
            }
        )
    ours = found.pop("malgil")
    details = {"encoder": paths.encoder, "protocol": "HTTP"}
    ratios = [
        Ratio(
            "f",
            f"search, {CLIENTS} clients, against sentence-transformers behind FastAPI, {name}",
            ours,
            figures,
            TARGET,
            details=details,
        )
        for name, figures in found.items()
    ]
    return sorted(ratios, key=lambda one: one.ratio)


def triton_request(url: str, query: str) -> http_load.Request:
    """A search for Triton's HTTP, in JSON."""
    tensor = {"name": "query", "datatype": "BYTES", "shape": [1, 1], "data": [query]}
    return http_load.Request(f"{url}/v2/models/search/infer", json.dumps({"inputs": [tensor]}).encode())


def application_request(url: str, query: str) -> http_load.Request:
    """A search for the FastAPI application."""
    return http_load.Request(f"{url}?query={urllib.parse.quote(query)}")


@contextlib.contextmanager
def application(bench: Bench, weights: Path, index: Path) -> Iterator[str]:
    """The URL of the FastAPI application, run in a process of its own.

    Raises:
        server.triton.SetupError: it does not answer.
    """
    bench.say("starting FastAPI")
    port = free_ports().http
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "benchmarks.compare.framework_app", str(weights), str(index), str(port)]
    probe = http_load.Request(f"{url}/search?query=a")
    with http_load.serving(command, probe, bench.folder / "fastapi.log", "the FastAPI application"):
        yield url
