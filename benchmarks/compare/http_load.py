"""Load over HTTP from one process: clients that each send the next request once the last is answered."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import uvloop

from benchmarks import ROOT
from server.processes import stop_with_parent
from server.triton import SetupError

START_SECONDS = 120.0
HEADERS = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Request:
    """One HTTP request: GET, or POST where there is a body."""

    url: str
    body: bytes | None = None


def rate(requests: Sequence[Request], clients: int, seconds: float, warm_up: float = 1.0) -> float:
    """Measure answers a second, counted after a warm-up of so many seconds.

    Raises:
        server.triton.SetupError: an answer is not 200.
    """
    return uvloop.run(_rate(requests, clients, seconds, warm_up))


async def _rate(requests: Sequence[Request], clients: int, seconds: float, warm_up: float) -> float:
    following = itertools.cycle(requests)
    first = time.perf_counter() + warm_up
    last = first + seconds
    answered = 0

    async def client(session: aiohttp.ClientSession) -> None:
        nonlocal answered
        while time.perf_counter() < last:
            request = next(following)
            method = "GET" if request.body is None else "POST"
            async with session.request(method, request.url, data=request.body, headers=HEADERS) as response:
                text = await response.read()
            if response.status != 200:
                raise SetupError(f"{request.url} answered {response.status}: {text[:200].decode(errors='replace')}")
            answered += first <= time.perf_counter() < last

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        await asyncio.gather(*(client(session) for _ in range(clients)))
    return answered / seconds


@contextlib.contextmanager
def serving(command: Sequence[str], probe: Request, log: Path, name: str) -> Iterator[None]:
    """Run a server in a process of its own, from the first answer to `probe` on.

    Raises:
        server.triton.SetupError: it does not answer; the text says what it wrote last.
    """
    with log.open("wb") as stream:
        # As in Triton's models: spinning threads starve the event loop, and the client, on few cores.
        environment = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE"}
        command = [*stop_with_parent(), *command]
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=stream, stderr=stream)
    try:
        deadline = time.monotonic() + START_SECONDS
        while fetch(probe) is None:
            if process.poll() is not None or time.monotonic() > deadline:
                last = log.read_text(errors="replace").strip().rpartition("\n")[2]
                raise SetupError(f"{name} did not start: {last}")
            time.sleep(0.2)
        yield
    finally:
        process.terminate()
        process.wait()


def fetch(request: Request) -> bytes | None:
    """The body of one answer, or None where it is not 200 or does not come."""
    asked = urllib.request.Request(request.url, data=request.body, headers=HEADERS)
    try:
        with urllib.request.urlopen(asked, timeout=10) as response:
            return bytes(response.read()) if response.status == 200 else None
    except (urllib.error.URLError, TimeoutError, ConnectionError):
        return None
