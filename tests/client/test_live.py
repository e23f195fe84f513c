"""Both clients, over both protocols, against a live Triton with the real encoder and the sample catalogue."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from malgil import BadRequest, Unavailable

from tests.client.blocking import open_client
from tests.client.test_cli import malgil

CATALOG = Path(__file__).parents[2] / "catalogs" / "finance.jsonl"


@pytest.fixture(scope="module", params=["grpc-sync", "grpc-async", "http-sync", "http-async"])
def client(request: pytest.FixtureRequest, server: Any) -> Iterator[Any]:
    protocol, mode = request.param.split("-")
    url = server.grpc_url if protocol == "grpc" else server.http_url
    with open_client(mode, url, timeout=30) as client:
        yield client


@pytest.fixture(scope="module")
def services() -> dict[int, dict[str, Any]]:
    lines = CATALOG.read_text(encoding="utf-8").splitlines()
    return {service["id"]: service for service in map(json.loads, lines)}


def test_a_phrase_of_the_catalogue_finds_its_service(client: Any, services: dict[int, Any]) -> None:
    result = client.search("다른 계좌나 사용자에게 돈을 보내는 기능")
    assert 1 <= len(result) <= 10
    best = result[0]
    service = services[best.id]
    assert best.phrase == "다른 계좌나 사용자에게 돈을 보내는 기능"
    assert (best.name, best.path) == (service["name"], service["path"])
    scores = [hit.score for hit in result]
    assert scores == sorted(scores, reverse=True)
    assert np.isfinite(scores).all()


def test_top_k_bounds_the_hits_and_padding_never_shows(client: Any) -> None:
    assert len(client.search("송금", top_k=3)) <= 3
    everything = client.search("송금", top_k=1000)
    assert 0 < len(everything) < 1000
    assert -1 not in {hit.id for hit in everything}


def test_a_surface_holds_only_what_is_shown_there(client: Any, services: dict[int, Any]) -> None:
    hits = client.search("돈 보내기", top_k=1000, surface="RECO")
    assert len(hits) > 0
    assert all("RECO" in services[hit.id]["surfaces"] for hit in hits)
    assert any("RECO" not in services[hit.id]["surfaces"] for hit in client.search("돈 보내기", top_k=1000))


def test_min_score_keeps_what_scores_at_least_that(client: Any) -> None:
    every = client.search("돈 보내기", top_k=50)
    bound = every[len(every) // 2].score
    kept = client.search("돈 보내기", top_k=50, min_score=bound)
    assert 0 < len(kept) <= len(every)
    assert all(hit.score >= bound for hit in kept)
    assert len(client.search("돈 보내기", min_score=1.0)) <= 1


def test_many_answers_are_those_of_one_by_one_in_order(client: Any) -> None:
    asked = ["송금", "카드 결제일", "ㅅㄱ", "환전", "대출 이자 얼마야", "보험", "x", "내 돈 어디 갔어"] * 5
    together = client.search_many(asked, top_k=1, concurrency=16)
    alone = {query: client.search(query, top_k=1) for query in set(asked)}
    assert len(together) == len(asked)
    for query, result in zip(asked, together, strict=True):
        assert [hit.id for hit in result] == [hit.id for hit in alone[query]]
        assert result.generation == alone[query].generation


def test_vectors_have_length_one_and_one_text_is_as_one_of_many(client: Any) -> None:
    one = client.embed("송금")
    many = client.embed(["송금", "환전", "송금"])
    assert (one.ndim, one.dtype) == (1, np.float32)
    assert many.shape == (3, one.size)
    np.testing.assert_allclose(np.linalg.norm(many, axis=1), 1, atol=1e-3)
    np.testing.assert_allclose(many[[0, 2]], np.stack([one, one]), atol=1e-3)
    assert float(many[0] @ many[1]) < 0.999
    assert client.embed("송금", kind="passage").shape == one.shape


def test_it_is_ready_and_says_which_generation_serves(client: Any) -> None:
    assert client.ready() is True
    assert client.generation() >= 1
    assert client.search("송금").generation == client.generation()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"query": " \t"}, "blank"),
        ({"query": "돈", "top_k": 0}, "top_k is 0"),
        ({"query": "돈", "top_k": 1001}, "top_k is 1001"),
        ({"query": "돈", "surface": "MOON"}, "surface is 'MOON'"),
        ({"query": "돈", "min_score": 2.0}, "min_score is 2"),
        ({"query": "돈" * 3000}, "9000 bytes"),
    ],
)
def test_what_the_server_refuses_is_a_bad_request_in_its_own_sentence(
    client: Any, arguments: dict[str, Any], text: str
) -> None:
    with pytest.raises(BadRequest) as caught:
        client.search(**arguments)
    assert text in str(caught.value)
    assert not str(caught.value).startswith(("in ensemble", "[request id"))
    assert client.search("돈", top_k=1)  # the neighbours are unharmed


def test_an_unknown_kind_is_a_bad_request(client: Any) -> None:
    with pytest.raises(BadRequest, match="kind"):
        client.embed("돈", kind="poem")


@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_a_model_that_is_not_there_is_unavailable(server: Any, protocol: str, mode: str) -> None:
    url = server.grpc_url if protocol == "grpc" else server.http_url
    with open_client(mode, url, search_model="nope") as client:
        with pytest.raises(Unavailable, match="'nope' is not found"):
            client.search("돈")
        assert client.ready() is False


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_the_command_asks_the_live_server(server: Any, protocol: str) -> None:
    url = server.grpc_url if protocol == "grpc" else server.http_url
    done = malgil("search", "돈 보내기", "--url", url, "--top-k", "2", "--json")
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["hits"]) == 2
    assert malgil("probe", "--url", url).returncode == 0
    assert malgil("search", " ", "--url", url).returncode == 3
