"""The fuzzer of the live server: it finds nothing, and it would find something."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from benchmarks.soak.fuzz import Tally, record, run
from benchmarks.soak.fuzz_expect import BAD, OK, UNREADABLE, status
from benchmarks.soak.fuzz_known import CALLS, difference
from benchmarks.soak.fuzz_processes import RSS_BOUND_MB, SHM_BOUND_MB, Growth, Memory, Processes
from benchmarks.soak.fuzz_requests import Request, make
from benchmarks.soak.fuzz_send import Reply, Sender
from benchmarks.soak.fuzz_tensors import wraps
from benchmarks.soak.fuzz_wire import Message, Tensor
from server.launcher import Server

WIDTH = 384
SEARCH: dict[str, Any] = {
    "id": np.array([[7, 3, 5]]),
    "phrase": np.array([[b"a", b"b", b"c"]], dtype=object),
    "score": np.array([[0.9, 0.8, 0.79999]], np.float32),
    "generation": np.array([[1]]),
}
MESSAGE = Message(True, "", b"")


def test_bad_requests_of_all_kinds_are_refused_and_harm_no_good_one(server: Server) -> None:
    told: list[tuple[int, int]] = []
    found = run(server, 1500, seed=7, advance=lambda done, total: told.append((done, total)))
    assert (found.crashes, found.wrong_status, found.harmed) == (0, 0, 0), found.examples
    assert found.requests == 1500
    assert found.good > 100
    assert told[-1] == (1500, 1500)
    assert not found.leaked, (found.rss_growth_mb, found.shm_growth_mb)
    assert found.rss_growth_mb.keys() == {"tritonserver", "tokenizer_0_0", "encoder_0_0", "scorer_0_0"}


def test_a_wrong_recorded_answer_is_harm_over_both_protocols(server: Server) -> None:
    goods = [request for request in (make(1, number, WIDTH) for number in range(800)) if request.good == 0]
    assert len({request.message.grpc for request in goods}) == 2

    async def judged() -> Tally:
        async with Sender(server.grpc_url, server.http_url) as sender:
            tally = Tally(1, await record(sender))
            for request in goods:
                tally.judge(request, await sender.send(request.message))
            assert tally.counts["harmed"] == 0, tally.examples
            tally.known[0]["id"] = tally.known[0]["id"] + 1
            for request in goods:
                tally.judge(request, await sender.send(request.message))
            return tally

    tally = asyncio.run(judged())
    assert tally.counts["harmed"] == len(goods)
    assert (tally.examples[0].kind, tally.examples[0].number) == ("harmed", goods[0].number)


def test_the_same_seed_makes_the_same_requests_and_another_does_not() -> None:
    some = [make(3, number, WIDTH) for number in range(400)]
    assert some == [make(3, number, WIDTH) for number in range(400)]
    assert sum(one == make(4, one.number, WIDTH) for one in some) < 40


def test_every_kind_of_request_is_in_the_mix() -> None:
    some = [make(5, number, WIDTH) for number in range(4000)]
    assert 0.08 < sum(request.good is not None for request in some) / len(some) < 0.16
    assert {request.good for request in some} == {None, *range(len(CALLS))}
    calls = Counter(request.message.grpc for request in some)
    assert min(calls.values()) > 1500
    sent = " ".join(request.what for request in some)
    for model in ("search", "embed", "tokenizer", "encoder", "scorer"):
        assert f"gRPC {model}: " in sent
        assert f"HTTP {model}: " in sent
    for kind in (
        "batch of 65",
        "of shape",
        "of type",
        "lie",
        "ids ",
        "embedding nan",
        "top_k",
        "flipped",
        "JSON",
        "gzip",
    ):
        assert kind in sent, kind
    assert sum(len(request.message.body) for request in some) / len(some) < 20_000


@pytest.mark.parametrize(
    ("came", "kind"),
    [
        (Reply("INVALID_ARGUMENT", "top_k is 0"), None),
        (Reply("OK"), "wrong_status"),
        (Reply("INTERNAL", "Traceback"), "wrong_status"),
        (Reply("DEADLINE_EXCEEDED", "30 s", late=True), "crash"),
    ],
)
def test_a_bad_request_answered_otherwise_is_counted_and_kept(came: Reply, kind: str | None) -> None:
    tally = Tally(11, [])
    tally.judge(Request(42, "top_k 0", MESSAGE, BAD), came)
    assert {name for name, count in tally.counts.items() if count} == ({kind} if kind else set())
    assert [(one.kind, one.seed, one.number) for one in tally.examples] == ([(kind, 11, 42)] if kind else [])


def test_a_good_request_that_is_refused_is_harmed() -> None:
    tally = Tally(11, [SEARCH])
    tally.judge(Request(1, "good", MESSAGE, OK, 0), Reply("INVALID_ARGUMENT", "somebody else's"))
    assert tally.counts["harmed"] == 1
    assert "somebody else's" in tally.examples[0].came


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"id": np.array([[8, 3, 5]])}, "id"),
        ({"phrase": np.array([[b"x", b"b", b"c"]], dtype=object)}, "phrase"),
        ({"score": SEARCH["score"] + np.float32(1e-4)}, "score"),
        ({"score": np.array([[0.9, 0.8, np.nan]], np.float32)}, "score"),
        ({"generation": np.array([[2]])}, "generation"),
        ({"id": np.array([[7, 3]])}, "shape"),
    ],
)
def test_any_change_of_a_good_answer_is_seen(changed: dict[str, Any], word: str) -> None:
    assert difference(SEARCH, SEARCH) is None
    assert word in str(difference(SEARCH | changed, SEARCH))
    assert "outputs" in str(difference({"id": SEARCH["id"]}, SEARCH))


def test_hits_that_score_alike_may_change_places_and_scores_their_last_bits() -> None:
    swapped = {"id": np.array([[7, 5, 3]]), "score": SEARCH["score"] + np.float32(2e-6)}
    assert difference(SEARCH | swapped, SEARCH) is None


def test_a_failing_model_is_never_taken_for_triton_s_refusal_to_read() -> None:
    assert status("500", "failed to parse the request JSON buffer: Invalid value. at 0") == UNREADABLE
    assert status("INTERNAL", "Unable to parse request") == UNREADABLE
    for detail in ("onnxruntime: failed", "Stub process is not healthy.", "Traceback\nUnable to parse x"):
        assert status("INTERNAL", detail) == "INTERNAL"
    assert status("400", "Unable to parse x") == "400"


def test_steady_growth_beyond_a_bound_is_a_leak_in_any_process_or_region_and_one_step_is_not() -> None:
    def grown(rss: tuple[float, float], shm: tuple[float, float] = (0, 0)) -> Growth:
        points = (Memory({"a": 7, "b": int(own * 2**20)}, int(one * 2**20)) for own, one in zip(rss, shm, strict=True))
        return Growth.between(Memory({"a": 7, "b": 0}, 0), *points)

    assert grown((RSS_BOUND_MB * 0.6, RSS_BOUND_MB * 1.2)).leaked
    assert grown((0, 0), (SHM_BOUND_MB * 0.6, SHM_BOUND_MB * 1.2)).leaked
    assert not grown((5, 10)).leaked
    assert not grown((0, RSS_BOUND_MB * 1.2)).leaked
    assert not grown((RSS_BOUND_MB * 1.2, RSS_BOUND_MB * 1.2)).leaked
    assert grown((5, 10), (1, 3)).rss_mb == {"a": 0.0, "b": 10.0}
    assert grown((5, 10), (1, 3)).shm_mb == 3.0


def test_a_process_that_is_gone_is_seen_once(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    processes = Processes(server)
    assert processes.look() == []
    monkeypatch.setattr("server.stubs.lives", lambda process: process.pid != server.process.pid)
    assert processes.look() == ["tritonserver"]
    assert processes.look() == []
    assert processes.dead


def test_shapes_that_wrap_around_to_what_is_sent_are_known() -> None:
    ids = Tensor("input_ids", "INT64", (1, 2), bytes(16))
    assert wraps((1, 2**61 + 2), ids)
    assert wraps((1, 2**61), replace(ids, raw=b""))
    assert wraps((64, 2**55), replace(ids, raw=b""))
    assert not any(wraps(shape, ids) for shape in ((1, 2), (1, 2**61), (1, 2**60), (2**32, 2), (1, 1, 2)))
