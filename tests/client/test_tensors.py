"""Conversion of arguments to tensors and of tensors to results."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from malgil import BadRequest, Hit, SearchResult, ServerError
from malgil._http import decode, encode
from malgil._tensors import embed_inputs, read_embedding, read_search, search_inputs

from tests.client.tensors import from_raw, to_raw, two_hits


def test_options_that_are_not_given_are_not_sent() -> None:
    assert list(search_inputs("송금", None, None, None)) == ["query"]
    assert list(embed_inputs("송금", "query")) == ["text"]


def test_each_input_has_the_datatype_and_shape_that_the_models_expect() -> None:
    tensors = search_inputs("송금", 5, "RECO", 0.8, False) | embed_inputs("돈", "passage")
    assert {name: (array.shape, str(array.dtype)) for name, array in tensors.items()} == {
        "query": ((1, 1), "object"),
        "top_k": ((1, 1), "int32"),
        "surface": ((1, 1), "object"),
        "min_score": ((1, 1), "float32"),
        "null": ((1, 1), "bool"),
        "text": ((1, 1), "object"),
        "kind": ((1, 1), "object"),
    }
    assert tensors["query"].item() == "송금".encode()
    assert tensors["top_k"].item() == 5


def test_a_min_score_of_zero_and_a_top_k_of_zero_are_sent() -> None:
    assert list(search_inputs("", 0, "", 0)) == ["query", "top_k", "surface", "min_score"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("query", b"\xeb\x8f\x88"),
        ("query", None),
        ("top_k", 5.0),
        ("top_k", True),
        ("top_k", "5"),
        ("surface", 3),
        ("min_score", "0.8"),
        ("min_score", False),
        ("null_phrases", 0),
        ("null_phrases", "false"),
    ],
)
def test_a_wrong_type_is_refused_by_name(field: str, value: Any) -> None:
    arguments = {"query": "송금", "top_k": None, "surface": None, "min_score": None} | {field: value}
    with pytest.raises(TypeError, match=f"^{field} must be"):
        search_inputs(**arguments)


def test_numpy_numbers_are_accepted() -> None:
    tensors = search_inputs("송금", np.int64(5), None, np.float32(0.5))  # type: ignore[arg-type]
    assert tensors["top_k"].item() == 5
    assert tensors["min_score"].item() == 0.5


def test_a_value_that_its_tensor_cannot_hold_is_a_bad_request() -> None:
    with pytest.raises(BadRequest, match=r"^top_k: 4294967296 does not fit"):
        search_inputs("송금", 2**32, None, None)
    with pytest.raises(BadRequest, match=r"^query: cannot be written as UTF-8 \(at character 1\)"):
        search_inputs("돈\ud83d", None, None, None)


def test_padding_is_dropped_and_text_that_is_not_utf8_is_still_readable() -> None:
    result = read_search(two_hits("송금"))
    assert result == SearchResult(
        (
            Hit(11, "송금", "홈 > 송금", float(np.float32(0.9)), "돈 보내기", float(np.float32(0.8)), 0.5),
            Hit(7, "\N{REPLACEMENT CHARACTER}", "", 0.5, "이체", 0.5, 0.0),
        ),
        42,
    )


def test_a_result_is_a_sequence_of_hits() -> None:
    result = read_search(two_hits("송금"))
    assert len(result) == 2
    assert [hit.id for hit in result] == [11, 7]
    assert result[-1].id == 7
    assert result[:1] == (result[0],)
    assert result[0] in result
    assert not SearchResult((), 1)


def test_the_answer_of_another_model_is_refused_by_the_missing_output() -> None:
    with pytest.raises(ServerError, match="lacks 'id'"):
        read_search({})
    with pytest.raises(ServerError, match="lacks 'embedding'"):
        read_embedding({})


def test_a_returned_vector_is_writable() -> None:
    vector = read_embedding({"embedding": np.frombuffer(b"\0\0\x80\x3f" * 4, np.float32).reshape(1, 4)})
    vector *= 2
    assert vector.dtype == np.float32
    assert vector.tolist() == [2, 2, 2, 2]


def test_an_http_body_is_json_of_the_given_length_then_binary_tensors() -> None:
    body, headers = encode(search_inputs("송금", 5, None, None), ["id"], timeout=1.5)
    split = int(headers["Inference-Header-Content-Length"])
    assert body[split:] == b"\x06\0\0\0" + "송금".encode() + b"\x05\0\0\0"
    assert body[:split].decode().count('"binary_data_size"') == 2


def http_answer() -> tuple[bytes, int]:
    """An answer in the shape that Triton 2.51 gave."""
    head = (
        b'{"model_name":"search","model_version":"1","parameters":{"sequence_id":0,"sequence_id":0},"outputs":['
        b'{"name":"score","datatype":"FP32","shape":[1,2],"parameters":{"binary_data_size":8}},'
        b'{"name":"name","datatype":"BYTES","shape":[1,2],"parameters":{"binary_data_size":11}}]}'
    )
    scores = to_raw(np.array([[0.9, -np.inf]], np.float32))
    return head + scores + b"\x03\0\0\0\xeb\x8f\x88\0\0\0\0", len(head)


def test_http_returns_exact_floats_and_infinite_padding() -> None:
    tensors = decode(*http_answer())
    assert tensors["score"].tolist() == [[float(np.float32(0.9)), -np.inf]]
    assert tensors["name"].tolist() == [["돈".encode(), b""]]


def test_an_http_answer_cut_short_is_a_server_error() -> None:
    body, split = http_answer()
    for cut in (body[:-1], body[: split + 3], body[: split - 5], b"<html>busy</html>", b""):
        with pytest.raises(ServerError, match="not binary tensor data"):
            decode(cut, split)


def test_the_fake_server_reads_tensors_as_they_were_written() -> None:
    for array in search_inputs("돈 보내기\0", 7, "RECO", -0.1).values():
        datatype = {"object": "BYTES", "int32": "INT32", "float32": "FP32"}[str(array.dtype)]
        assert from_raw(to_raw(array), datatype, [1, 1]) == array
