"""Load over HTTP from one process: clients that each send the next request once the last is answered."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass

import aiohttp
import uvloop

from server.triton import SetupError


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
            async with session.request(method, request.url, data=request.body) as response:
                text = await response.read()
            if response.status != 200:
                raise SetupError(f"{request.url} answered {response.status}: {text[:200].decode(errors='replace')}")
            answered += first <= time.perf_counter() < last

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        await asyncio.gather(*(client(session) for _ in range(clients)))
    return answered / seconds
