"""What clients do when servers are missing, hang or restart, and when callers share, cancel or leave."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import numpy as np
import pytest
from malgil import AsyncSearchClient, DeadlineExceeded, SearchClient, Unavailable
from malgil._grpc import GrpcTransport
from malgil._http import _within
from malgil._retry import Deadline

from tests.client.blocking import open_client
from tests.client.fake_triton import SERVERS, Brain, grpc_server

MODES = ["sync", "async"]


@pytest.fixture
def brain() -> Brain:
    return Brain()


def unused_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("scheme", ["grpc://", "http://"])
def test_a_missing_server_is_unavailable_in_one_clause(scheme: str, mode: str) -> None:
    address = f"127.0.0.1:{unused_port()}"
    with open_client(mode, scheme + address, timeout=5) as client:
        with pytest.raises(Unavailable, match=r"^cannot reach .*") as caught:
            client.search("돈")
        assert address in str(caught.value)
        assert "[" not in str(caught.value)
        assert not client.ready()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("scheme", ["grpc://", "http://"])
def test_a_server_that_accepts_and_hangs_costs_no_more_than_the_timeout(scheme: str, mode: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as hung:
        url = f"{scheme}127.0.0.1:{hung.getsockname()[1]}"
        with open_client(mode, url, timeout=0.3) as client:
            started = time.monotonic()
            with pytest.raises(DeadlineExceeded):
                client.search("돈")
            assert time.monotonic() - started < 2


@contextmanager
def appearing(protocol: str, port: int, after: float) -> Iterator[None]:
    """A server that starts on the port some seconds from now."""
    stop = threading.Event()

    def run() -> None:
        time.sleep(after)
        with SERVERS[protocol](Brain(), port=port):
            stop.wait()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("protocol", SERVERS)
def test_a_server_that_restarts_is_found_again(protocol: str, mode: str) -> None:
    port = unused_port()
    with open_client(mode, f"{protocol}://127.0.0.1:{port}", timeout=20, retries=50) as client:
        with appearing(protocol, port, after=0):
            assert client.generation() == 42
        for _ in range(3):
            assert not client.ready(timeout=0.5)
        with appearing(protocol, port, after=0.5):
            started = time.monotonic()
            assert client.generation() == 42
            assert time.monotonic() - started < 8  # gRPC's own back-off would grow to two minutes


def test_threads_may_share_a_client(brain: Brain) -> None:
    for protocol, server in SERVERS.items():
        with server(brain) as url, SearchClient(url) as client:
            names: dict[str, str] = {}

            def ask(name: str, client: Any = client, names: Any = names) -> None:
                names[name] = client.search(name)[0].name

            threads = [threading.Thread(target=ask, args=(f"{protocol} {n}",)) for n in range(24)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert len(names) == 24
            assert all(asked == got for asked, got in names.items())


@pytest.mark.parametrize("protocol", SERVERS)
async def test_a_cancelled_search_stops_and_leaves_the_client_usable(protocol: str, brain: Brain) -> None:
    with SERVERS[protocol](brain) as url:
        async with AsyncSearchClient(url) as client:
            brain.delay = 0.5
            task = asyncio.ensure_future(client.search_many(["돈"] * 100, concurrency=4))
            await asyncio.sleep(0.2)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            brain.delay = 0
            await asyncio.sleep(0.6)
            assert len(brain.requests) == 4
            assert (await client.search("다음"))[0].name == "다음"


@pytest.mark.parametrize("ticks", range(4))
async def test_a_cancellation_that_comes_together_with_the_answer_is_not_lost(ticks: int) -> None:
    answer: asyncio.Future[httpx.Response] = asyncio.get_running_loop().create_future()

    async def call() -> httpx.Response:
        return await answer

    task = asyncio.ensure_future(_within(Deadline(5), call()))
    await asyncio.sleep(0.01)
    answer.set_result(httpx.Response(200))
    for _ in range(ticks):
        await asyncio.sleep(0)
    if not task.done():
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


def test_every_replica_behind_a_name_gets_its_share_over_grpc() -> None:
    brains = [Brain(), Brain()]
    with grpc_server(brains[0]) as first, grpc_server(brains[1]) as second:
        transport = GrpcTransport(f"ipv4:{first},{second}", None, None)  # as DNS answers for a headless service
        query = np.array([["돈".encode()]], dtype=np.object_)
        for _ in range(20):
            transport.infer("search", {"query": query}, ("id",), Deadline(5))
        transport.close()
    assert min(len(brain.requests) for brain in brains) >= 8


def test_a_call_that_nobody_waits_for_is_left_to_end_for_cancelling_it_can_crash_the_server() -> None:
    brain = Brain(delay=0.4)

    async def leave(url: str) -> None:
        async with AsyncSearchClient(url, timeout=0.1, retries=0) as client:
            with pytest.raises(DeadlineExceeded):
                await client.search("송금")
            task = asyncio.create_task(client.search("송금", timeout=5))
            await asyncio.sleep(0.1)
            task.cancel()
            began = time.monotonic()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert time.monotonic() - began < 0.2  # the caller is let go at once

    with grpc_server(brain) as url:
        with SearchClient(url, timeout=0.1, retries=0) as client, pytest.raises(DeadlineExceeded):
            client.search("송금")
        asyncio.run(leave(url))
    assert len(brain.requests) == 3
    assert brain.abandoned == 0
