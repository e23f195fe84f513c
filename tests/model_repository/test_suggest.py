"""The model `suggest` on the live server: over gRPC, HTTP and /generate, alone, in batches, and beside bad requests."""

from __future__ import annotations

import json
import re
import shutil
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import malgil
import numpy as np
import pytest
from malgil_core.index import reader
from malgil_core.serving.counters import SEND_SECONDS
from tritonclient.grpc import InferenceServerClient, service_pb2

from export.__main__ import main as export
from server.launcher import Server
from server.ports import free_ports
from tests.client.blocking import open_client
from tests.conftest import CATALOG, NULL_TOPICS
from tests.live import infer, texts, until
from tests.model_repository.test_json import post
from tests.soak.wire import INFER, Call, Tensor, grpc_infer, strings

pytestmark = pytest.mark.live
SERVICES = {one["id"]: one for one in map(json.loads, CATALOG.read_text(encoding="utf-8").splitlines())}


@pytest.fixture(scope="module")
def raw(server: Server) -> Iterator[Any]:
    with InferenceServerClient(server.grpc_url) as made:
        yield made


@pytest.fixture(params=["grpc-sync", "grpc-async", "http-sync", "http-async"])
def client(request: pytest.FixtureRequest, server: Server) -> Iterator[Any]:
    protocol, mode = request.param.split("-")
    with open_client(mode, server.grpc_url if protocol == "grpc" else server.http_url, timeout=30) as made:
        yield made


@pytest.mark.parametrize(
    ("typed", "text"),
    [
        ("더치", "더치페이"),
        ("ㄷㅊㅍ", "더치페이"),
        ("ejcl", "더치페이"),
        ("더취패", "더치페이"),
        ("카드 분", "카드 분실 신고"),
    ],
)
def test_what_is_being_typed_is_completed_over_both_protocols(client: Any, typed: str, text: str) -> None:
    found = client.suggest(typed)
    assert found[0].text == text
    assert 1 <= len(found) <= 5
    assert found.generation == client.generation()
    for one in found:
        service = SERVICES[one.id]
        assert service["open"]
        assert (one.name, one.path, one.source) == (service["name"], service["path"], "phrase")
        assert one.text in (service["name"], *service["phrases"])


def test_suggestions_are_those_of_open_services_and_of_the_surface(client: Any) -> None:
    closed = {one["id"] for one in SERVICES.values() if not one["open"]}
    assert closed
    for typed in ("ㅋ", "송", "대", "이", "ㅂ"):
        everywhere, reco = client.suggest(typed, top_k=20), client.suggest(typed, top_k=20, surface="RECO")
        assert len({one.id for one in everywhere}) == len(everywhere) > 0
        assert not {one.id for one in everywhere} & closed
        assert all("RECO" in SERVICES[one.id]["surfaces"] for one in reco)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"typed": " "}, "typed is blank: 1 bytes"),
        ({"typed": "돈" * 3000}, "typed is 9000 bytes long: at most 8192 are taken"),
        ({"typed": "돈", "top_k": 0}, "top_k is 0: it must be from 1 to 20"),
        ({"typed": "돈", "top_k": 21}, "top_k is 21: it must be from 1 to 20"),
        ({"typed": "돈", "surface": "MOON"}, "surface is 'MOON': the catalog has "),
    ],
)
def test_a_bad_request_is_refused_in_a_sentence_and_the_next_is_answered(
    client: Any, arguments: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(malgil.BadRequest) as caught:
        client.suggest(**arguments)
    assert str(caught.value).splitlines()[0].startswith(sentence)
    assert client.suggest("송")


def test_a_client_batch_of_64_is_answered_in_one_request_as_64_single_ones(raw: Any) -> None:
    typed = [
        text[:length] for text in ("카드 분실 신고", "대출 이자", "송금 한도", "ㄷㅊㅍㅇ") for length in range(1, 9)
    ] * 2
    assert len(typed) == 64
    together = infer(raw, "suggest", typed=texts(typed), top_k=np.full((64, 1), 3, np.int32))
    for row, text in enumerate(typed):
        alone = infer(raw, "suggest", typed=texts([text]), top_k=np.array([[3]], np.int32))
        for name, array in alone.items():
            assert together[name][row].tolist() == array[0].tolist(), (text, name)


def test_generate_answers_with_plain_json(server: Server) -> None:
    answer = post(server, "suggest/generate", {"typed": "더치", "top_k": 2})
    assert answer["text"][0] == "더치페이"
    assert [len(answer[name]) for name in ("text", "id", "name", "path", "source", "score")] == [2] * 6


def test_a_string_whose_length_lies_harms_no_request_beside_it(server: Server) -> None:
    right, lie = (
        grpc_infer(Call("suggest", (Tensor("typed", "BYTES", (1, 1), raw),))).body
        for raw in (strings(["더치".encode()]), b"\xff\0\0\0abc")
    )
    with grpc.insecure_channel(server.grpc_url) as channel:
        call = channel.unary_unary(INFER)
        sent = [call.future(body, timeout=60) for _ in range(100) for body in (right, lie, right)]
        assert all(isinstance(one.exception(), grpc.RpcError) for one in sent[1::3])
        answers = [service_pb2.ModelInferResponse.FromString(one.result()) for one in sent[::3] + sent[2::3]]
    assert all("더치페이".encode() in answer.raw_output_contents[0] for answer in answers)


def test_texts_and_refusals_are_counted(server: Server) -> None:
    def counts() -> dict[str, float]:
        with urllib.request.urlopen(server.metrics_url, timeout=10) as page:
            found = re.findall(r"^malgil_suggest_(\w+)_total\{.*?\} (\S+)$", page.read().decode(), re.MULTILINE)
        return {name: float(number) for name, number in found}

    time.sleep(2 * SEND_SECONDS + 0.3)  # what earlier tests did is on its way
    before = counts()
    with malgil.SearchClient(server.grpc_url) as client:
        client.suggest("송")
        client.suggest("김치찌개 레시피")
        with pytest.raises(malgil.BadRequest):
            client.suggest(" ")
    added = {"texts": 2, "empty": 1, "errors": 1}
    assert before.keys() == added.keys()
    until(lambda: counts() == {name: before[name] + number for name, number in added.items()})


LINE = {"text": "용돈 부치기", "id": 100, "chosen": 50, "persons": 30, "days": 7}


@pytest.fixture
def started(repository: Path, index: Path, tmp_path: Path) -> Iterator[tuple[Server, Path]]:
    """A server, and the folder of its repository and index."""
    shutil.copytree(repository, tmp_path / "model_repository", symlinks=True)
    shutil.copytree(index, tmp_path / "index")
    with (tmp_path / "log").open("wb") as log, Server(tmp_path / "model_repository", free_ports(), log=log) as server:
        server.wait_ready()
        yield server, tmp_path


def test_what_people_chose_is_suggested_from_the_next_publish_on_and_no_more_after_it_is_taken_back(
    started: tuple[Server, Path],
) -> None:
    server, folder = started
    file = folder / "suggestions.jsonl"
    file.write_text(json.dumps(LINE, ensure_ascii=False) + "\n", encoding="utf-8")

    def suggested_after(*options: str) -> list[tuple[str, str, int]]:
        folders = ["--index", str(folder / "index"), "--repository", str(folder / "model_repository")]
        assert export(["catalog", "publish", str(CATALOG), "--null-topics", str(NULL_TOPICS), "--offline", *folders,
                       *options]) == 0  # fmt: skip
        number = reader.current(folder / "index")
        until = time.monotonic() + 30
        while (found := opened.suggest("용돈 부")).generation != number:
            assert time.monotonic() < until
            time.sleep(0.1)
        assert opened.suggest("송").generation == number
        return [(one.text, one.source, one.id) for one in found]

    with server.client() as opened:
        new = ("용돈 부치기", "query", 100)
        assert new not in [(one.text, one.source, one.id) for one in opened.suggest("용돈 부")]
        assert suggested_after("--suggestions", str(file))[0] == new
        assert suggested_after()[0] == new
        assert new not in suggested_after("--no-suggestions")
