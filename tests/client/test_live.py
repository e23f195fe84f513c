"""Both clients, over both protocols, against a live Triton with the real encoder and the sample catalog."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from malgil import BadRequest, DocumentsResult, SearchClient, Unavailable
from malgil._output import documents_table, table

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


def test_a_phrase_of_the_catalog_finds_its_service(client: Any, services: dict[int, Any]) -> None:
    result = client.search("다른 계좌나 사용자에게 돈을 보내는 기능")
    assert 1 <= len(result) <= 10
    best = result[0]
    service = services[best.id]
    assert best.phrase == "다른 계좌나 사용자에게 돈을 보내는 기능"
    assert (best.name, best.path) == (service["name"], service["path"])
    scores = [hit.score for hit in result]
    assert scores == sorted(scores, reverse=True)
    assert np.isfinite(scores).all()


def test_top_k_limits_the_hits_and_padding_is_never_returned(client: Any) -> None:
    assert len(client.search("송금", top_k=3)) <= 3
    everything = client.search("송금", top_k=1000)
    assert 0 < len(everything) < 1000
    assert -1 not in {hit.id for hit in everything}


def test_a_surface_returns_only_services_exposed_on_it(client: Any, services: dict[int, Any]) -> None:
    hits = client.search("돈 보내기", top_k=1000, surface="RECO")
    assert len(hits) > 0
    assert all("RECO" in services[hit.id]["surfaces"] for hit in hits)
    assert any("RECO" not in services[hit.id]["surfaces"] for hit in client.search("돈 보내기", top_k=1000))


def test_min_score_removes_hits_below_it(client: Any) -> None:
    every = client.search("돈 보내기", top_k=50)
    bound = every[len(every) // 2].score
    kept = client.search("돈 보내기", top_k=50, min_score=bound)
    assert 0 < len(kept) <= len(every)
    assert all(hit.score >= bound for hit in kept)
    assert len(client.search("돈 보내기", min_score=1.0)) <= 1


def test_explain_adds_the_dense_and_the_lexical_score(client: Any) -> None:
    assert {(hit.dense, hit.lexical) for hit in client.search("송ㄱ")} == {(None, None)}
    explained = client.search("송ㄱ", explain=True)
    assert explained[0].lexical > 0
    for hit in explained:
        assert hit.score == pytest.approx(1 - (1 - hit.dense) * (1 - hit.lexical), abs=1e-5)
    (many,) = client.search_many(["송ㄱ"], explain=True)
    assert [hit.id for hit in many] == [hit.id for hit in explained]


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_threads_that_share_a_client_each_get_the_right_answer(
    server: Any, protocol: str, services: dict[int, Any]
) -> None:
    found: dict[str, int] = {}
    with SearchClient(server.grpc_url if protocol == "grpc" else server.http_url, timeout=30) as client:
        expected = {
            service["name"]: client.search(service["name"], top_k=1)[0].id for service in list(services.values())[:24]
        }

        def search(name: str) -> None:
            found[name] = client.search(name, top_k=1)[0].id

        threads = [threading.Thread(target=search, args=(name,)) for name in expected]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(set(expected.values())) > 10
    assert found == expected


def test_search_many_equals_single_searches_in_order(client: Any) -> None:
    asked = ["송금", "카드 결제일", "ㅅㄱ", "환전", "대출 이자 얼마야", "보험", "x", "내 돈 어디 갔어"] * 5
    together = client.search_many(asked, top_k=1, concurrency=16)
    alone = {query: client.search(query, top_k=1) for query in set(asked)}
    assert len(together) == len(asked)
    for query, result in zip(asked, together, strict=True):
        assert [hit.id for hit in result] == [hit.id for hit in alone[query]]
        assert result.generation == alone[query].generation


def test_embeddings_are_unit_vectors_and_equal_for_one_text_and_many(client: Any) -> None:
    one = client.embed("송금")
    many = client.embed(["송금", "환전", "송금"])
    assert (one.ndim, one.dtype) == (1, np.float32)
    assert many.shape == (3, one.size)
    np.testing.assert_allclose(np.linalg.norm(many, axis=1), 1, atol=1e-3)
    np.testing.assert_allclose(many[[0, 2]], np.stack([one, one]), atol=1e-3)
    assert float(many[0] @ many[1]) < 0.999
    assert client.embed("송금", kind="passage").shape == one.shape
    assert client.embed([]).shape == (0, 0)


def test_a_ready_server_tells_the_generation_that_serves(client: Any) -> None:
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
def test_a_refused_argument_is_a_bad_request_with_the_servers_sentence(
    client: Any, arguments: dict[str, Any], text: str
) -> None:
    with pytest.raises(BadRequest) as caught:
        client.search(**arguments)
    assert text in str(caught.value)
    assert not str(caught.value).startswith(("in ensemble", "[request id"))
    assert client.search("돈", top_k=1)  # other requests still work


def test_an_unknown_kind_is_a_bad_request(client: Any) -> None:
    with pytest.raises(BadRequest, match="kind"):
        client.embed("돈", kind="poem")


@pytest.mark.parametrize("query", ["돈 보내기", "송ㄱ", "저녁에 김치찌개 어떻게 끓여?"])
def test_without_an_engine_the_services_are_those_of_search_and_the_status_is_off(client: Any, query: str) -> None:
    options = {"top_k": 7, "surface": "SEARCH", "explain": True}
    both = client.search_all(query, **options, documents_filter={"category": "송금"}, documents_deadline_ms=1000)
    alone = client.search(query, **options)
    assert [(hit.id, hit.phrase) for hit in both.services] == [(hit.id, hit.phrase) for hit in alone]
    # Other requests in a batch may change the last digits of an embedding.
    assert [hit.score for hit in both.services] == pytest.approx([hit.score for hit in alone], abs=1e-3)
    assert (both.services.generation, both.services.refused_by) == (alone.generation, alone.refused_by)
    assert both.documents == DocumentsResult((), "off")
    assert client.search_documents(query, top_k=20) == DocumentsResult((), "off")


@pytest.mark.parametrize(
    ("argument", "value", "text"),
    [
        ("top_k", 0, "documents_top_k is 0"),
        ("top_k", 21, "documents_top_k is 21"),
        ("deadline_ms", 10_001, "documents_deadline_ms is 10001"),
        ("filter", {"colour": "빨강"}, 'documents_filter has "colour"'),
        ("filter", {"updated_from": "어제"}, 'updated_from is "어제"'),
    ],
)
def test_a_refused_argument_of_documents_is_a_bad_request_with_the_servers_sentence(
    client: Any, argument: str, value: Any, text: str
) -> None:
    with pytest.raises(BadRequest) as alone:
        client.search_documents("돈", **{argument: value})
    with pytest.raises(BadRequest) as both:
        client.search_all("돈", **{f"documents_{argument}": value})
    assert str(alone.value) == str(both.value)
    assert text in str(alone.value)
    assert not str(alone.value).startswith(("in ensemble", "[request id"))


@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_a_model_that_is_not_loaded_is_unavailable(server: Any, protocol: str, mode: str) -> None:
    url = server.grpc_url if protocol == "grpc" else server.http_url
    with open_client(mode, url, search_model="search2", embed_model="embed2") as client:
        with pytest.raises(Unavailable, match="'search2' is not found"):
            client.search("돈")
        with pytest.raises(Unavailable, match="'embed2' is not found"):
            client.embed("돈")
        assert client.ready() is False


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_the_command_prints_the_hits_as_a_table_or_json(server: Any, protocol: str) -> None:
    url = server.grpc_url if protocol == "grpc" else server.http_url
    with SearchClient(url) as client:
        plain, explained = (
            client.search("돈 보내기", top_k=3, surface="SEARCH", min_score=0.25, explain=explain)
            for explain in (False, True)
        )
    options = ["--top-k", "3", "--surface", "SEARCH", "--min-score", "0.25", "--timeout", "9"]
    for result, flags in [(plain, []), (explained, ["--explain"])]:
        done = malgil("search", "돈 보내기", "--url", url, *options, *flags)
        assert (done.returncode, done.stdout, done.stderr) == (0, table(result) + "\n", "")
    done = malgil("search", "돈 보내기", *options, "--json", env={"MALGIL_URL": url})
    answer = json.loads(done.stdout)
    assert answer["generation"] == plain.generation
    assert [(hit["id"], hit["name"], hit["phrase"]) for hit in answer["hits"]] == [
        (hit.id, hit.name, hit.phrase) for hit in plain
    ]
    assert plain[0].name in done.stdout  # readable, not escaped
    assert malgil("search", "qwfpg", "--url", url, "--min-score", "1").stdout == "no hits\n"
    done = malgil("search", "돈 보내기", "--url", url, *options, "--all")
    off = documents_table(DocumentsResult((), "off"))
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{table(plain)}\n\n{off}\n", "")
    assert malgil("documents", "돈 보내기", "--url", url).stdout == f"{off}\n"
    assert malgil("probe", "--url", url).returncode == 0
    assert malgil("search", " ", "--url", url).returncode == 3
