"""The model `events` in a running Triton: what is sent is stored, what is bad is refused alone, searches go on."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import numpy as np
import pytest
from malgil_core.events.reading import lines
from malgil_core.serving.counters import SEND_SECONDS
from tritonclient import grpc
from tritonclient.utils import InferenceServerException

from server.launcher import Server
from tests import events
from tests.events import abandoned, chosen, search, shown
from tests.live import infer, inputs, texts, until
from tests.soak.wire import Call, Tensor, http_infer, string, strings

stored = partial(events.stored, seconds=3.0)  # the interval of config.pbtxt, and a busy machine


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[Any]:
    with grpc.InferenceServerClient(server.grpc_url) as made:
        yield made


@pytest.fixture
def folder(repository: Path) -> Path:
    """Where the live server stores events: beside its model repository."""
    return repository.parent / "events"


def post(server: Server, path: str, body: Any) -> httpx.Response:
    return httpx.post(f"{server.http_url}/v2/models/events/{path}", json=body, timeout=30)


@pytest.fixture
def search_id() -> str:
    return uuid4().hex


def test_events_of_all_types_are_stored_as_they_were_sent_over_grpc(client: Any, folder: Path, search_id: str) -> None:
    sent = [make(search_id=search_id) for make in (search, shown, chosen, abandoned)]
    answer = infer(client, "events", event=texts([event.as_json() for event in sent]))
    assert answer["accepted"].tolist() == [[1]] * 4
    assert answer["accepted"].dtype == np.int32
    assert stored(folder, search_id, 4) == sent


def test_an_event_is_stored_from_plain_json_over_http(server: Server, folder: Path, search_id: str) -> None:
    line = chosen(search_id=search_id, surface="홈").as_json().decode()
    tensor = {"name": "event", "datatype": "BYTES", "shape": [1, 1], "data": [line]}
    assert post(server, "infer", {"inputs": [tensor]}).json()["outputs"][0]["data"] == [1]
    assert post(server, "generate", {"event": line}).json()["accepted"] == 1
    assert stored(folder, search_id, 2) == [chosen(search_id=search_id, surface="홈")] * 2


def test_what_people_typed_is_removed_before_anything_is_stored(client: Any, folder: Path, search_id: str) -> None:
    secret = f"내 계좌 {search_id[::-1]}"
    infer(client, "events", event=texts([search(search_id=search_id, query=secret).as_json()]))
    assert stored(folder, search_id, 1) == [search(search_id=search_id)]
    assert not any(secret.encode() in line for line in lines(folder))


def test_64_events_in_one_request_are_stored_and_65_are_refused(client: Any, folder: Path, search_id: str) -> None:
    events = texts([search(search_id=search_id, k=k).as_json() for k in range(1, 66)])
    assert infer(client, "events", event=events[:64])["accepted"].sum() == 64
    assert {event.k for event in stored(folder, search_id, 64)} == {*range(1, 65)}
    with pytest.raises(InferenceServerException, match="batch"):
        infer(client, "events", event=events)


def test_the_largest_events_fit_in_one_request_over_http(server: Server, folder: Path, search_id: str) -> None:
    large = search(search_id=search_id, query="가" * 2730, surface="홈" * 64).as_json()
    events = [large + b" " * (16 * 1024 - len(large))] * 64
    message = http_infer(Call("events", (string("event", *events),), ("accepted",)))
    answer = httpx.post(server.http_url + message.path, content=message.body, headers=dict(message.headers), timeout=30)
    assert answer.status_code == 200
    assert len(stored(folder, search_id, 64)) == 64


def test_a_bad_event_refuses_its_request_by_its_place_and_no_other(
    client: Any, server: Server, folder: Path, search_id: str
) -> None:
    good, bad = search(search_id=search_id).as_json(), search(search_id=search_id, k=0).as_json()
    with pytest.raises(InferenceServerException) as caught:
        infer(client, "events", event=texts([good, bad, good]))
    assert caught.value.status() == "StatusCode.INVALID_ARGUMENT"
    assert "event 2 of 3: k is 0: it must be a whole number from 1 to" in str(caught.value.message())
    answer = post(server, "generate", {"event": "[" * 9000})
    assert answer.status_code == 400
    assert "event is not JSON" in answer.json()["error"]
    infer(client, "events", event=texts([good]))
    assert len(stored(folder, search_id, 1)) == 1  # nothing of the request that was refused


@pytest.mark.parametrize(
    "tensor",
    [
        Tensor("event", "BYTES", (1, 1), b"\xff\xff\xff\x7fabc"),  # a length that lies
        Tensor("event", "BYTES", (2, 1), strings([b"{}"])),
        Tensor("event", "BYTES", (1, 2), strings([b"{}", b"{}"])),
        Tensor("event", "INT32", (1, 1), b"\0\0\0\0"),
        Tensor("query", "BYTES", (1, 1), strings([b"{}"])),
        Tensor("event", "BYTES", (2**32, 1), strings([b"{}"])),
    ],
)
def test_a_malformed_tensor_is_refused_alone_and_the_model_lives_on(
    client: Any, server: Server, folder: Path, search_id: str, tensor: Tensor
) -> None:
    body = http_infer(Call("events", (tensor,)))
    answer = httpx.post(server.http_url + body.path, content=body.body, headers=dict(body.headers), timeout=30)
    assert 400 <= answer.status_code <= 500
    assert infer(client, "events", event=texts([search(search_id=search_id).as_json()]))["accepted"].item() == 1
    assert len(stored(folder, search_id, 1)) == 1


def counts(server: Server) -> dict[str, float]:
    """`malgil_events_total` by status."""
    with urllib.request.urlopen(server.metrics_url) as page:
        found = [line for line in page.read().decode().splitlines() if line.startswith("malgil_events_total{")]
    return {line.split('status="')[1].split('"')[0]: float(line.split()[-1]) for line in found}


def test_events_are_counted_once_they_are_on_the_disk_and_those_of_bad_requests_apart(
    client: Any, server: Server, folder: Path, search_id: str
) -> None:
    time.sleep(2 * SEND_SECONDS)  # what earlier tests did is on its way
    before = counts(server)
    assert before.keys() == {"written", "dropped", "refused"}
    infer(client, "events", event=texts([search(search_id=search_id).as_json()] * 3))
    with pytest.raises(InferenceServerException):
        client.infer("events", inputs({"event": texts([b"{}", b"{}"])}))
    assert len(stored(folder, search_id, 3)) == 3
    added = {"written": 3, "dropped": 0, "refused": 2}
    until(lambda: counts(server) == {status: before[status] + number for status, number in added.items()})


def test_the_page_s_example_over_http_is_taken(server: Server) -> None:
    page = (Path(__file__).parent.parent.parent / "docs" / "feedback.md").read_text(encoding="utf-8")
    (body,) = [line.split("-d '")[1].rstrip("'") for line in page.splitlines() if line.startswith("$ curl")]
    assert post(server, "generate", json.loads(body)).json()["accepted"] == 1
