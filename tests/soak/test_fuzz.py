"""Random requests to the live server: nothing is found, and what is wrong would be found and shrunk."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import hypothesis
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from server.launcher import Server
from tests.soak.fuzz.answers import CALLS, difference
from tests.soak.fuzz.requests import GOOD, Burst, Request, bursts, good
from tests.soak.fuzz.run import CrashError, HarmError, Target, WrongStatusError, run, storm
from tests.soak.fuzz.sender import Reply
from tests.soak.fuzz.statuses import BAD, UNREADABLE, status
from tests.soak.fuzz.tensors import wraps
from tests.soak.processes import RSS_BOUND_MB, SHM_BOUND_MB, Growth, Memory, Processes
from tests.soak.wire import Call, Tensor, grpc_infer, string

WIDTH = 384
# A body of just over the server's bound is drawn on purpose.
pytestmark = pytest.mark.filterwarnings("ignore:Generating overly large repr:hypothesis.errors.HypothesisWarning")

SEARCH: dict[str, Any] = {
    "id": np.array([[7, 3, 5]]),
    "phrase": np.array([[b"a", b"b", b"c"]], dtype=object),
    "score": np.array([[0.9, 0.8, 0.79999]], np.float32),
    "generation": np.array([[1]]),
}


def test_bad_requests_of_all_kinds_are_refused_and_harm_no_good_one(server: Server) -> None:
    told: list[tuple[int, int]] = []
    found = run(server, 1500, seed=7, advance=lambda done, total: told.append((done, total)))
    assert (found.crashes, found.wrong_status, found.harmed) == (0, 0, 0), "\n".join(found.examples)
    assert found.requests >= 1500
    assert found.good > 100
    assert told[-1] == (1500, 1500)
    assert not found.leaked, (found.rss_growth_mb, found.shm_growth_mb)
    assert found.rss_growth_mb.keys() == {
        "tritonserver", "tokenizer_0_0", "encoder_0_0", "encoder_0_1", "scorer_0_0", "retriever_0_0",
        "suggest_0_0",
        "events_0_0",
    }  # fmt: skip


def test_a_wrong_answer_is_harm_over_both_protocols(server: Server) -> None:
    with Target(server) as target:
        for over_grpc in (True, False):
            target.check((good(0, over_grpc),))
        target.known[0]["id"] = target.known[0]["id"] + 1
        for over_grpc in (True, False):
            with pytest.raises(HarmError, match=r"id\[0, 0\]"):
                target.check((good(1, over_grpc), good(0, over_grpc)))


def test_a_failure_names_the_one_request_that_shows_it(server: Server) -> None:
    def odd(burst: Burst) -> Burst:
        """One of the requests is expected to be refused, and is not."""
        return tuple(replace(one, good=None, expected=BAD) if one.good == 2 else one for one in burst)

    with Target(server) as target:
        (failure,) = storm(target, bursts(WIDTH).map(odd), examples=60, seed=1)
        assert isinstance(failure, WrongStatusError)
        assert "good request 2" in str(failure)
        assert "instead of 400 or INVALID_ARGUMENT" in str(failure)


@pytest.mark.slow
def test_the_same_seed_sends_the_same_requests_and_another_does_not() -> None:
    def sent(seed: int) -> list[Burst]:
        found: list[Burst] = []

        @hypothesis.seed(seed)
        @settings(max_examples=20, database=None, deadline=None, suppress_health_check=list(HealthCheck))
        @given(bursts(WIDTH))
        def collect(burst: Burst) -> None:
            found.append(burst)

        collect()
        return found

    assert sent(3) == sent(3) != sent(4)


@pytest.mark.slow
def test_every_kind_of_request_is_sent_in_bodies_of_moderate_size() -> None:
    some: list[Request] = []

    @hypothesis.seed(5)
    @settings(max_examples=400, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(bursts(WIDTH))
    def collect(burst: Burst) -> None:
        assert sum(one.good is not None for one in burst) == GOOD
        some.extend(burst)

    collect()
    assert {one.good for one in some} == {None, *range(len(CALLS))}
    assert 0.2 < sum(one.message.grpc for one in some) / len(some) < 0.8
    sent = " ".join(one.what for one in some)
    for model in ("search", "embed", "tokenizer", "encoder", "scorer", "suggest"):
        assert f"{model}: " in sent
    for kind in (
        "batch of 65",
        "of shape",
        "of type",
        "lie",
        "ids ",
        "embedding ",
        "top_k",
        "flipped",
        "JSON",
        "gzip",
    ):
        assert kind in sent, kind
    assert sum(len(one.message.body) for one in some) / len(some) < 20_000


class Recorded(Target):
    """A target that replays one reply instead of asking a server."""

    def __init__(self, reply: Reply) -> None:
        self.known, self._reply = [SEARCH], reply

    def check(self, burst: Burst) -> None:
        for request in burst:
            self._judge(request, self._reply)


BLANK = Request("blank", grpc_infer(Call("search", (string("query", b" "),))), BAD)


@pytest.mark.parametrize(
    ("came", "error"),
    [
        (Reply("OK"), WrongStatusError),
        (Reply("INTERNAL", "Traceback"), WrongStatusError),
        (Reply("DEADLINE_EXCEEDED", "30 s", late=True), CrashError),
    ],
)
def test_a_bad_request_answered_otherwise_is_a_failure_that_shows_the_request(
    came: Reply, error: type[Exception]
) -> None:
    Recorded(Reply("INVALID_ARGUMENT", "query is blank")).check((BLANK,))
    with pytest.raises(error, match=r"gRPC .*ModelInfer: blank"):
        Recorded(came).check((BLANK,))


def test_a_good_request_that_is_refused_is_harmed() -> None:
    with pytest.raises(HarmError, match="another's text is blank"):
        Recorded(Reply("INVALID_ARGUMENT", "another's text is blank")).check((good(0, True),))


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
        points = (Memory({"a": 7, "b": int(b * 2**20)}, int(c * 2**20)) for b, c in zip(rss, shm, strict=True))
        return Growth.between(Memory({"a": 7, "b": 0}, 0), *points)

    assert grown((RSS_BOUND_MB * 0.6, RSS_BOUND_MB * 1.2)).leaked
    assert grown((0, 0), (SHM_BOUND_MB * 0.6, SHM_BOUND_MB * 1.2)).leaked
    assert not grown((5, 10)).leaked
    assert not grown((0, RSS_BOUND_MB * 1.2)).leaked
    assert not grown((RSS_BOUND_MB * 1.2, RSS_BOUND_MB * 1.2)).leaked
    assert grown((5, 10), (1, 3)).rss_mb == {"a": 0.0, "b": 10.0}
    assert grown((5, 10), (1, 3)).shm_mb == 3.0


def test_a_process_that_is_gone_is_seen_once_and_every_later_burst_fails_with_the_one_that_did_it(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Target(server) as target:
        monkeypatch.setattr("server.stubs.is_running", lambda process: process.pid != server.process.pid)
        for burst in ((BLANK,), (good(0, True),)):
            with pytest.raises(CrashError, match=r"(?s)tritonserver died after.*blank"):
                target.check(burst)
        assert target.processes.dead
    processes = Processes(server)
    assert (processes.look(), processes.look()) == (["tritonserver"], [])


def test_shapes_that_wrap_around_to_what_is_sent_are_known() -> None:
    ids = Tensor("input_ids", "INT64", (1, 2), bytes(16))
    assert wraps((1, 2**61 + 2), ids)
    assert wraps((1, 2**61), replace(ids, raw=b""))
    assert wraps((64, 2**55), replace(ids, raw=b""))
    assert not any(wraps(shape, ids) for shape in ((1, 2), (1, 2**61), (1, 2**60), (2**32, 2), (1, 1, 2)))
