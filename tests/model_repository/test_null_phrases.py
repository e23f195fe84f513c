"""Null phrases of the sample catalog on the live server: over gRPC, HTTP and /generate, with metrics."""

from __future__ import annotations

import json
import re
import time
import urllib.request
from typing import Any

import malgil
import numpy as np
import pytest
from malgil_core.serving.counters import SEND_SECONDS
from tritonclient import grpc

from server.launcher import Server
from tests.live import infer, texts, until
from tests.model_repository.test_json import post, tensor

pytestmark = pytest.mark.live

OUT_OF_SCOPE = ("내일 비 와?", "김치찌개 끓이는 법 알려줘", "ㅁㄴㅇㄹ", "asdf", "안녕하세요")
IN_SCOPE = ("돈 보내기", "송ㄱ", "ㄷㅊㅍㅇ", "thdrma", "ㅅ", "카드값 언제 나가")


@pytest.fixture(params=["grpc", "http"])
def client(request: pytest.FixtureRequest, server: Server) -> Any:
    with malgil.SearchClient(server.grpc_url if request.param == "grpc" else server.http_url, timeout=60) as made:
        yield made


def test_a_query_for_what_the_app_does_not_do_finds_nothing_and_names_the_topic(client: malgil.SearchClient) -> None:
    for query, result in zip(OUT_OF_SCOPE, client.search_many(OUT_OF_SCOPE, explain=True), strict=True):
        assert len(result) == 0, query
        assert result.refused_by == "null"
        assert result.null
        assert 0.8 < result.null.score <= 1.000001
    weather = client.search("내일 비 와?", explain=True).null
    assert weather
    assert (weather.topic, weather.phrase) == ("날씨", "내일 비 와?")
    assert weather.score == pytest.approx(1, abs=1e-3)


def test_what_the_app_does_is_found_as_without_null_phrases(client: malgil.SearchClient) -> None:
    with_null = client.search_many(IN_SCOPE, top_k=5, explain=True)
    without = client.search_many(IN_SCOPE, top_k=5, null_phrases=False, explain=True)
    assert [[hit.id for hit in result] for result in with_null] == [[hit.id for hit in result] for result in without]
    assert all(len(result) for result in with_null)
    assert {result.refused_by for result in with_null} == {""}
    assert {result.null for result in without} == {None}


def test_a_request_can_switch_null_phrases_off(client: malgil.SearchClient) -> None:
    assert len(client.search("내일 비 와?", null_phrases=False)) == 10
    assert len(client.search("내일 비 와?", null_phrases=True)) == 0
    assert client.search("내일 비 와?").refused_by is None  # not asked for


def test_no_answer_ever_holds_a_null_topic(client: malgil.SearchClient) -> None:
    everything = client.search("내일 비 와?", top_k=1000, null_phrases=False)
    assert 100 < len(everything) <= 150
    assert all(hit.id >= 0 and hit.path for hit in everything)
    assert "날씨" not in {hit.name for hit in everything}


async def test_the_asyncio_client_has_the_same_option(server: Server) -> None:
    async with malgil.AsyncSearchClient(server.grpc_url, timeout=60) as client:
        assert len(await client.search("내일 비 와?")) == 0
        on, off = [
            (await client.search_many(["내일 비 와?"], null_phrases=value, top_k=3))[0] for value in (True, False)
        ]
        assert (len(on), len(off)) == (0, 3)


def test_plain_json_takes_the_option_and_has_the_reason(server: Server) -> None:
    inputs = [tensor("query", "BYTES", "내일 비 와?", "내일 비 와?", "송ㄱ"), tensor("null", "BOOL", True, False, True)]
    answer = {output["name"]: output for output in post(server, "search/infer", {"inputs": inputs})["outputs"]}
    assert answer["refused_by"]["data"] == ["null", "", ""]
    assert answer["null_topic"]["data"] == ["날씨", "", ""]
    assert answer["null_score"]["data"][1:] == [-1, -1]
    assert answer["null_phrase"]["shape"] == [3, 1]
    ids = answer["id"]["data"]
    assert ids[:10] == [-1] * 10
    assert ids[10] != -1
    assert ids[20] == 100


def test_generate_takes_the_option_and_has_the_reason(server: Server) -> None:
    on = post(server, "search/generate", {"query": "내일 비 와?", "top_k": 1})
    assert (on["id"], on["refused_by"], on["null_topic"], on["null_phrase"]) == (-1, "null", "날씨", "내일 비 와?")
    off = post(server, "search/generate", {"query": "내일 비 와?", "top_k": 1, "null": False})
    assert off["id"] >= 0
    assert (off["refused_by"], off["null_topic"], off["null_score"]) == ("", "", -1)


def test_a_batch_with_mixed_options_answers_each_by_its_own(server: Server) -> None:
    with grpc.InferenceServerClient(server.grpc_url) as client:
        off = np.array([[i % 2 == 0] for i in range(64)])
        answer = infer(client, "search", query=texts(["내일 비 와?"] * 64), null=off)
    assert (answer["id"][:, 0] >= 0).tolist() == [i % 2 == 1 for i in range(64)]


def test_refusals_are_counted(server: Server) -> None:
    def count() -> float:
        with urllib.request.urlopen(server.metrics_url, timeout=10) as page:
            found = re.findall(r'^malgil_out_of_scope_total\{[^}]*by="null"[^}]*\} (\S+)$', page.read().decode(), re.M)
        return sum(map(float, found))

    time.sleep(2 * SEND_SECONDS)  # what earlier tests did is on its way
    before = count()
    for _ in range(3):
        post(server, "search/generate", {"query": "내일 비 와?", "top_k": 1})
    until(lambda: count() >= before + 3)
    assert before + 3 <= count() < before + 20  # others may ask, too, and health checks do not count


def test_the_command_line_says_why_there_is_no_hit(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    from malgil._cli import main

    assert main(["search", "내일 비 와?", "--url", server.grpc_url, "--explain"]) == 0
    assert capsys.readouterr().out.startswith(
        "no hits\nout of scope: of what the app does not do, 날씨 (내일 비 와?) scores "
    )
    assert main(["search", "내일 비 와?", "--url", server.grpc_url, "--no-null-phrases", "--top-k", "2"]) == 0
    assert capsys.readouterr().out.count("\n") == 3
    assert main(["search", "내일 비 와?", "--url", server.grpc_url, "--explain", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["hits"], answer["refused_by"], answer["null"]["topic"]) == ([], "null", "날씨")
