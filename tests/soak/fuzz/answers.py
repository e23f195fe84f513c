"""Good requests whose answers are recorded before bad ones are sent, and must not change beside them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from tritonclient.grpc import service_pb2
from tritonclient.utils import deserialize_bytes_tensor, triton_to_np_dtype

from tests.soak.wire import Call, int32, string

# A batch's company changes the last bits of a float32 product: tests/model_repository/test_batching.py allows as much.
TOLERANCE = 1e-5
# Hits whose scores are nearer than this may change places with it.
CLEAR = 1e-4
_OUTPUTS = ("id", "name", "path", "phrase", "score", "generation")
CALLS = (
    *(Call("search", (string("query", text.encode()), int32("top_k", 5)), _OUTPUTS) for text in (
        "돈 보내기", "송ㄱ", "thdrma", "이번 달 카드값 언제 나가", "환전", "ㅎㅈ", "보험금 청구 서류", "대출 이자",
    )),
    *(Call("embed", (string("text", text.encode()),)) for text in ("송금", "다른 사람에게 돈을 보내고 싶어요")),
    Call("search", (string("query", "송금".encode(), "환전".encode()),), _OUTPUTS),
)  # fmt: skip
Answer = dict[str, Any]


def read_grpc(raw: bytes) -> Answer:
    """The outputs in a ModelInferResponse."""
    response = service_pb2.ModelInferResponse.FromString(raw)
    return {
        output.name: _array(blob, output.datatype, output.shape)
        for output, blob in zip(response.outputs, response.raw_output_contents, strict=True)
    }


def read_http(body: bytes, header_length: int) -> Answer:
    """The outputs in an HTTP answer with binary tensor data."""
    answer, at = {}, header_length
    for output in json.loads(body[:header_length])["outputs"]:
        size = output["parameters"]["binary_data_size"]
        answer[output["name"]] = _array(body[at : at + size], output["datatype"], output["shape"])
        at += size
    return answer


def _array(blob: bytes, dtype: str, shape: Any) -> Any:
    flat = deserialize_bytes_tensor(blob) if dtype == "BYTES" else np.frombuffer(blob, triton_to_np_dtype(dtype))
    return flat.reshape(list(shape))


def difference(found: Mapping[str, Any], known: Mapping[str, Any]) -> str | None:
    """How an answer differs from the recorded one, or None."""
    if found.keys() != known.keys():
        return f"outputs {sorted(found)} instead of {sorted(known)}"
    clear = _clear(known["score"]) if "score" in known else None
    for name, expected in known.items():
        if found[name].shape != expected.shape:
            return f"{name} has shape {found[name].shape} instead of {expected.shape}"
        if expected.dtype.kind == "f":
            same = np.isclose(found[name], expected, rtol=0, atol=TOLERANCE)
        else:
            same = found[name] == expected
            if clear is not None and name != "generation":
                same |= ~clear
        if not same.all():
            place = tuple(map(int, np.argwhere(~same)[0]))
            return f"{name}{list(place)} is {found[name][place]!r} instead of {expected[place]!r}"
    return None


def _clear(scores: Any) -> Any:
    """Which hits have no neighbour near enough to change places with; the last one's next is not known."""
    gaps = -np.diff(scores, axis=1) > CLEAR
    edge = np.zeros((len(scores), 1), bool)
    return np.concatenate([~edge, gaps], axis=1) & np.concatenate([gaps, edge], axis=1)
