"""Every request that random ones have found to harm a server, as small as it is known, each on a server of its own.

What still does over loopback's gRPC, where the proxy does not stand, is in docs/security.md.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import grpc
import malgil
import numpy as np
import pytest

from benchmarks import perf_analyzer
from server.exposure import Exposure
from server.launcher import Server
from server.ports import free_ports
from tests.soak.fuzz.answers import CALLS
from tests.soak.fuzz.protocol import GOOD
from tests.soak.fuzz.requests import good
from tests.soak.fuzz.run import Target
from tests.soak.fuzz.sender import Reply, Sender
from tests.soak.fuzz.statuses import BAD, NOT_JSON, OK
from tests.soak.fuzz.values import embedding
from tests.soak.heal import SERVES_WITHIN, find, supervised
from tests.soak.wire import Call, Message, Tensor, grpc_infer, http_json, ids

EVERY_GOOD_ONE = tuple(good(place, over_grpc=True) for place in range(len(CALLS)))
WIDTH = 384


@pytest.fixture
def expendable(repository: Path, index: Path, tmp_path: Path) -> Iterator[Server]:
    """A server that no other test needs."""
    with (tmp_path / "log").open("wb") as log, Server(repository, free_ports(), log=log) as server:
        server.wait_ready()
        yield server
        server.stop(at_once=True)


@pytest.fixture(scope="module")
def proxied(repository: Path, index: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server beyond loopback, whose gRPC passes the proxy."""
    log = tmp_path_factory.mktemp("proxied") / "log"
    with log.open("wb") as stream, Server(repository, free_ports(), Exposure("0.0.0.0"), stream) as server:
        server.wait_ready()
        yield server


def send(server: Server, messages: Sequence[Message]) -> list[Reply]:
    """Send messages at once, and look at every process and every good answer afterwards."""

    async def all_at_once() -> list[Reply]:
        async with Sender(server.grpc_url, server.inner_http_url) as sender:
            return await asyncio.gather(*(sender.send(message) for message in messages))

    with Target(server) as target:
        replies = asyncio.run(all_at_once())
        target.check(EVERY_GOOD_ONE)
    return replies


IMPOSSIBLE = grpc_infer(Call("encoder", (Tensor("input_ids", "INT64", (1, 2**61), b""),)))


def test_a_shape_whose_bytes_are_none_modulo_2_to_the_64_does_not_reach_a_model(proxied: Server) -> None:
    (reply,) = send(proxied, [IMPOSSIBLE])
    assert reply.status == "PERMISSION_DENIED"


@pytest.mark.soak
def test_on_loopback_such_a_shape_costs_seconds_and_not_the_service(
    repository: Path, index: Path, tmp_path: Path
) -> None:
    with supervised(repository, tmp_path / "log") as (launcher, url), malgil.SearchClient(url, retries=0) as client:
        stub = find(launcher.pid, "encoder")
        with grpc.insecure_channel(url) as channel, pytest.raises(grpc.RpcError):
            channel.unary_unary(IMPOSSIBLE.path)(IMPOSSIBLE.body, timeout=10)
        deadline = time.monotonic() + SERVES_WITHIN
        while stub.is_running() or not answers(client):
            assert time.monotonic() < deadline
            time.sleep(0.1)


def answers(client: malgil.SearchClient) -> bool:
    """Whether a search is answered."""
    with contextlib.suppress(malgil.MalgilError):
        return client.search("송금", top_k=1)[0].name == "송금"
    return False


def test_forty_thousand_brackets_of_json_do_not_end_the_server(expendable: Server) -> None:
    nested = b"[" * 40_000 + b'"a"' + b"]" * 40_000
    (reply,) = send(expendable, [http_json("search", GOOD.replace(b'["a"]', nested))])
    assert reply.status in OK | BAD | NOT_JSON


def test_a_string_whose_length_lies_costs_no_other_request_its_answer(proxied: Server) -> None:
    right, lie = grpc_infer(CALLS[0]), b"\xff\0\0\0abc"
    scorer = grpc_infer(Call("scorer", (Tensor("query", "BYTES", (1, 1), lie), embedding(0, WIDTH))))
    search = grpc_infer(Call("search", (Tensor("query", "BYTES", (1, 1), lie),)))
    replies = send(proxied, [message for _ in range(40) for message in (right, scorer, right, search)])
    assert {reply.status for reply in replies[::2]} <= OK
    assert {reply.status for reply in replies[1::4]} == {"PERMISSION_DENIED"}
    assert not {reply.status for reply in replies[3::4]} & OK


def test_a_text_without_ids_beside_others_harms_none_of_them(server: Server) -> None:
    empty = grpc_infer(Call("encoder", (ids([[]]),)))
    full = grpc_infer(Call("encoder", (ids([[0, 5, 2]]),)))
    replies = send(server, [message for _ in range(60) for message in (full, empty, full)])
    found = [reply.answer()["embedding"] for reply in replies[::3] + replies[2::3]]
    np.testing.assert_allclose(found, np.broadcast_to(found[0], np.shape(found)), rtol=0, atol=1e-5)


@pytest.mark.soak
def test_thousands_of_requests_that_wait_for_the_tokenizer_do_not_damage_the_heap(
    expendable: Server, tmp_path: Path
) -> None:
    binary, environment = perf_analyzer.find()
    data = perf_analyzer.write_input(tmp_path / "text.json", [{"text": "송금"}])
    command = [str(binary), "-m", "tokenizer", "-u", expendable.grpc_url, "-i", "grpc", "--async"]
    command += ["--input-data", str(data)]
    command += ["--concurrency-range", "2500", "--measurement-interval", "5000", "--stability-percentage", "999"]
    for _ in range(8):
        subprocess.run(command, env=environment, capture_output=True, check=False, timeout=120)
        messages = [grpc_infer(CALLS[place % 10]) for place in range(128)]
        for _ in range(6):
            send(expendable, messages)
    assert expendable.stop() == 0
