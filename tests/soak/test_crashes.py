"""Every request that random ones have found to harm a server, as small as it is known, each on a server of its own.

Those that still do are expected to fail. Once one passes, its mark goes, and its lines in docs/known-issues.md.
"""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from benchmarks import perf_analyzer
from server.launcher import Server
from server.ports import free_ports
from tests.soak.fuzz.answers import CALLS
from tests.soak.fuzz.protocol import GOOD
from tests.soak.fuzz.requests import good
from tests.soak.fuzz.run import Target
from tests.soak.fuzz.sender import Reply, Sender
from tests.soak.fuzz.statuses import BAD, NOT_JSON, OK
from tests.soak.fuzz.values import embedding
from tests.soak.wire import Call, Message, Tensor, grpc_infer, http_json, ids, string

EVERY_GOOD_ONE = tuple(good(place, over_grpc=True) for place in range(len(CALLS)))
WIDTH = 384


@pytest.fixture
def expendable(repository: Path, index: Path, tmp_path: Path) -> Iterator[Server]:
    """A server that no other test needs."""
    with (tmp_path / "log").open("wb") as log, Server(repository, free_ports(), log=log) as server:
        server.wait_ready()
        yield server
        server.stop(at_once=True)


def send(server: Server, messages: Sequence[Message]) -> list[Reply]:
    """Send messages at once, and look at every process and every good answer afterwards."""

    async def all_at_once() -> list[Reply]:
        async with Sender(server.grpc_url, server.inner_http_url) as sender:
            return await asyncio.gather(*(sender.send(message) for message in messages))

    with Target(server) as target:
        replies = asyncio.run(all_at_once())
        target.check(EVERY_GOOD_ONE)
    return replies


@pytest.mark.xfail(
    strict=True,
    raises=AssertionError,
    reason="Triton 2.51 takes the size modulo 2**64 for right, and the stub's NumPy throws",
)
@pytest.mark.soak
def test_a_shape_whose_bytes_are_none_modulo_2_to_the_64_does_not_end_a_models_process(expendable: Server) -> None:
    call = Call("encoder", (Tensor("input_ids", "INT64", (1, 2**61), b""),))
    (reply,) = send(expendable, [grpc_infer(call)])  # over HTTP the proxy refuses it: tests/server/test_proxy.py
    assert reply.status in BAD


def test_forty_thousand_brackets_of_json_do_not_end_the_server(expendable: Server) -> None:
    nested = b"[" * 40_000 + b'"a"' + b"]" * 40_000
    (reply,) = send(expendable, [http_json("search", GOOD.replace(b'["a"]', nested))])
    assert reply.status in OK | BAD | NOT_JSON


@pytest.mark.xfail(
    strict=True, raises=AssertionError, reason="the stub refuses a whole batch for one string whose length lies"
)
def test_a_string_whose_length_lies_sent_to_the_scorer_is_refused_alone(server: Server) -> None:
    def call(raw: bytes) -> Message:
        return grpc_infer(Call("scorer", (Tensor("query", "BYTES", (1, 1), raw), embedding(0, WIDTH))))

    right, lie = call(string("query", b"abc").raw), call(b"\xff\0\0\0abc")
    replies = send(server, [message for _ in range(40) for message in (right, lie, right)])
    assert {reply.status for reply in replies[::3] + replies[2::3]} <= OK
    assert {reply.status for reply in replies[1::3]} <= BAD


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
