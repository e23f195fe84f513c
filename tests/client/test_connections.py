"""Missing, hanging, restarted and replicated servers, and calls that are cancelled or given up."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import numpy as np
import pytest
from malgil import AsyncSearchClient, DeadlineExceeded, SearchClient, Unavailable
from malgil._grpc import GrpcTransport
from malgil._http import _within
from malgil._retry import Deadline

from tests.client.blocking import open_client
from tests.client.fake_triton import SERVERS, Scenario, grpc_server

pytestmark = pytest.mark.slow

MODES = ["sync", "async"]


@pytest.fixture
def scenario() -> Scenario:
    return Scenario()


def unused_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("scheme", ["grpc://", "http://"])
def test_a_missing_server_raises_unavailable_with_a_short_reason(scheme: str, mode: str) -> None:
    address = f"127.0.0.1:{unused_port()}"
    with open_client(mode, scheme + address, timeout=5) as client:
        with pytest.raises(Unavailable, match=r"^cannot reach .*") as caught:
            client.search("돈")
        assert address in str(caught.value)
        assert "[" not in str(caught.value)
        assert not client.ready()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("scheme", ["grpc://", "http://"])
def test_a_server_that_never_answers_takes_no_longer_than_the_timeout(scheme: str, mode: str) -> None:
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
        with SERVERS[protocol](Scenario(), port=port):
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
def test_a_restarted_server_is_reached_again_within_seconds(protocol: str, mode: str) -> None:
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


@pytest.mark.parametrize("protocol", SERVERS)
async def test_a_cancelled_search_many_sends_no_more_and_the_client_still_works(
    protocol: str, scenario: Scenario
) -> None:
    with SERVERS[protocol](scenario) as url:
        async with AsyncSearchClient(url) as client:
            scenario.delay = 0.5
            task = asyncio.ensure_future(client.search_many(["돈"] * 100, concurrency=4))
            await asyncio.sleep(0.2)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            scenario.delay = 0
            await asyncio.sleep(0.6)
            assert len(scenario.requests) == 4
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


def test_grpc_requests_are_spread_over_all_replicas_of_a_name() -> None:
    scenarios = [Scenario(), Scenario()]
    with grpc_server(scenarios[0]) as first, grpc_server(scenarios[1]) as second:
        transport = GrpcTransport(f"ipv4:{first},{second}", None, None)  # as DNS answers for a headless service
        query = np.array([["돈".encode()]], dtype=np.object_)
        for _ in range(20):
            transport.infer("search", {"query": query}, ("id",), Deadline(5))
        transport.close()
    assert min(len(scenario.requests) for scenario in scenarios) >= 8


def test_a_call_that_was_given_up_is_not_cancelled_as_that_can_crash_triton() -> None:
    scenario = Scenario(delay=0.4)

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
            assert time.monotonic() - began < 0.2  # the caller need not wait for the answer

    with grpc_server(scenario) as url:
        with SearchClient(url, timeout=0.1, retries=0) as client, pytest.raises(DeadlineExceeded):
            client.search("송금")
        asyncio.run(leave(url))
    assert len(scenario.requests) == 3
    assert scenario.abandoned == 0
