"""Documents, alone and beside services: arguments to tensors, tensors to results, and both clients on the wire."""

from __future__ import annotations

import json
from collections import UserDict
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from malgil import BadRequest, Document, DocumentsResult, ServerError, Unavailable
from malgil._tensors import document_inputs, read_documents, read_search, read_unified

from tests.client.blocking import open_client
from tests.client.fake_triton import QUEUE_FULL, SERVERS, Scenario
from tests.client.tensors import two_documents, two_hits

LIMIT = Document(
    "limit",
    "이체 한도",
    "하루 이체 한도는 앱에서 늘릴 수 있어요.",
    ((3, 5), (6, 9)),
    "https://help.example.com/limit",
    "송금",
    0.875,
)
ABROAD = Document("abroad", "해외 송금", "수수료는 나라마다 달라요.", (), "", "송금", 0.5)


def test_options_that_are_not_given_are_not_sent() -> None:
    assert list(document_inputs("송금", None, None, None)) == ["query"]


def test_each_input_has_the_datatype_and_shape_that_the_models_expect() -> None:
    tensors = document_inputs("송금", 0, {}, 0)
    assert {name: (array.shape, str(array.dtype)) for name, array in tensors.items()} == {
        "query": ((1, 1), "object"),
        "documents_top_k": ((1, 1), "int32"),
        "documents_filter": ((1, 1), "object"),
        "documents_deadline_ms": ((1, 1), "int32"),
    }


def test_a_filter_in_korean_is_sent_unescaped_so_that_it_fits_the_servers_limit() -> None:
    filter = {"category": ("송금", "계좌"), "updated_from": "2025-01-01"}
    sent = document_inputs("송금", None, UserDict(filter), None)["documents_filter"].item()
    assert json.loads(sent) == {"category": ["송금", "계좌"], "updated_from": "2025-01-01"}
    assert "송금".encode() in sent


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("query", b"\xeb\x8f\x88"),
        ("top_k", 5.0),
        ("top_k", True),
        ("filter", '{"category": "송금"}'),
        ("filter", ["송금"]),
        ("filter", {"category": b"\xeb\x8f\x88"}),
        ("filter", {"category": {"송금"}}),
        ("filter", {("category",): "송금"}),
        ("deadline_ms", 0.2),
        ("deadline_ms", "150"),
    ],
)
def test_a_wrong_type_is_refused_by_the_name_of_its_argument(field: str, value: Any) -> None:
    arguments = {"query": "송금", "top_k": None, "filter": None, "deadline_ms": None} | {field: value}
    with pytest.raises(TypeError, match=f"^{field} must"):
        document_inputs(**arguments)
    if field != "query":
        with pytest.raises(TypeError, match=f"^documents_{field} must"):
            document_inputs(**arguments, prefix="documents_")


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("top_k", 2**31, "top_k: 2147483648 does not fit"),
        ("deadline_ms", -(2**31) - 1, "deadline_ms: -2147483649 does not fit"),
        ("filter", {"category": float("nan")}, "filter: cannot be written as JSON"),
        ("filter", {"category": "돈\ud83d"}, r"filter: cannot be written as UTF-8 \(at character 15\)"),
    ],
)
def test_a_value_that_its_tensor_cannot_hold_is_a_bad_request(field: str, value: Any, sentence: str) -> None:
    arguments = {"query": "송금", "top_k": None, "filter": None, "deadline_ms": None} | {field: value}
    with pytest.raises(BadRequest, match=f"^{sentence}"):
        document_inputs(**arguments)


def test_padding_is_dropped_and_highlights_are_places_in_the_snippet() -> None:
    result = read_documents(two_documents("이체 한도"))
    assert result == DocumentsResult((LIMIT, ABROAD), "ok")
    assert [LIMIT.snippet[start:end] for start, end in LIMIT.highlights] == ["이체", "한도는"]


def test_a_result_is_a_sequence_of_documents() -> None:
    result = read_documents(two_documents("이체 한도"))
    assert len(result) == 2
    assert list(result) == [LIMIT, ABROAD]
    assert (result[-1], result[:1]) == (ABROAD, (LIMIT,))
    assert LIMIT in result
    assert not DocumentsResult((), "off")


@pytest.mark.parametrize("status", ["late", "unavailable", "off"])
def test_services_are_returned_whatever_became_of_the_documents(status: str) -> None:
    result = read_unified(two_hits("송금") | two_documents("송금", status))
    assert result.services == read_search(two_hits("송금"))
    assert result.documents == DocumentsResult((), status)


@pytest.mark.parametrize("marked", [b"[[1]]", b"[[1, null]]", b"7", b"\xff"])
def test_an_answer_whose_highlights_are_not_places_is_a_server_error(marked: bytes) -> None:
    outputs = two_documents("송금")
    outputs["highlights"][0, 0] = marked
    with pytest.raises(ServerError, match="highlights are"):
        read_documents(outputs)
    with pytest.raises(ServerError, match="lacks 'document_id'"):
        read_documents({})


@pytest.fixture
def scenario() -> Scenario:
    return Scenario()


@pytest.fixture(params=[(protocol, mode) for protocol in SERVERS for mode in ("sync", "async")], ids="-".join)
def client(request: pytest.FixtureRequest, scenario: Scenario) -> Iterator[Any]:
    protocol, mode = request.param
    with SERVERS[protocol](scenario) as url, open_client(mode, url, timeout=10) as client:
        yield client


@pytest.mark.slow
def test_documents_alone_are_asked_of_the_ensemble_without_a_scorer(client: Any, scenario: Scenario) -> None:
    found = client.search_documents("이체 한도", top_k=2, filter={"category": "송금"}, deadline_ms=300)
    assert found == DocumentsResult((LIMIT, ABROAD), "ok")
    ((model, sent),) = scenario.requests
    assert model == "documents"
    assert {name: array.item() for name, array in sent.items()} == {
        "query": "이체 한도".encode(),
        "documents_top_k": 2,
        "documents_filter": '{"category": "송금"}'.encode(),
        "documents_deadline_ms": 300,
    }
    assert set(scenario.outputs[0]) == set(two_documents(""))


@pytest.mark.slow
def test_one_call_finds_services_and_documents_each_with_its_own_options(client: Any, scenario: Scenario) -> None:
    options = {"top_k": 3, "surface": "RECO", "min_score": 0.5, "null_phrases": False}
    of_documents = {"documents_top_k": 2, "documents_filter": {"surface": "HELP"}, "documents_deadline_ms": 300}
    found = client.search_all("이체 한도", **options, **of_documents)
    assert [hit.name for hit in found.services] == ["이체 한도", "\N{REPLACEMENT CHARACTER}"]
    assert (found.services.generation, found.services[0].dense) == (42, None)
    assert found.documents == DocumentsResult((LIMIT, ABROAD), "ok")
    ((model, sent),) = scenario.requests
    assert model == "unified"
    assert {name: array.item() for name, array in sent.items()} == {
        "query": "이체 한도".encode(),
        "top_k": 3,
        "surface": b"RECO",
        "min_score": np.float32(0.5),
        "null": False,
        "documents_top_k": 2,
        "documents_filter": b'{"surface": "HELP"}',
        "documents_deadline_ms": 300,
    }
    assert "dense" not in scenario.outputs[0]


@pytest.mark.slow
def test_nothing_is_sent_with_a_bad_argument_and_a_full_queue_is_tried_again(client: Any, scenario: Scenario) -> None:
    with pytest.raises(TypeError, match=r"^documents_filter must be a mapping, not str"):
        client.search_all("돈", documents_filter="송금")
    with pytest.raises(BadRequest, match=r"^deadline_ms"):
        client.search_documents("돈", deadline_ms=2**40)
    assert scenario.requests == []
    scenario.failures = [QUEUE_FULL] * 2
    assert client.search_all("돈").documents.status == "ok"
    assert len(scenario.requests) == 3


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["sync", "async"])
def test_a_server_without_the_model_is_unavailable_by_the_name_that_was_asked_for(
    mode: str, scenario: Scenario
) -> None:
    scenario.failures = [("NOT_FOUND", "Request for unknown model: 'both' is not found")]
    opened = SERVERS["grpc"](scenario)
    with (
        opened as url,
        open_client(mode, url, documents_model="both") as client,
        pytest.raises(Unavailable, match="both"),
    ):
        client.search_documents("돈")
    assert [model for model, _ in scenario.requests] == ["both"]
