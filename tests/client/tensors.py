"""Tensors of the fake Triton's answers, and tensors as they are sent."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from tritonclient.utils import (
    deserialize_bytes_tensor,
    serialize_byte_tensor,
    triton_to_np_dtype,
)

Tensors = dict[str, NDArray[Any]]


def two_hits(query: str) -> Tensors:
    """Two hits and a column of padding; the first hit is named as the query, the second is not UTF-8."""

    def column(*cells: bytes) -> NDArray[Any]:
        return np.array([[*cells, b""]], dtype=np.object_)

    return {
        "id": np.array([[11, 7, -1]], np.int64),
        "name": column(query.encode(), b"\xff"),
        "path": column("홈 > 송금".encode(), b""),
        "score": np.array([[0.9, 0.5, -1]], np.float32),
        "phrase": column("돈 보내기".encode(), "이체".encode()),
        "generation": np.array([[42]], np.int64),
        "dense": np.array([[0.8, 0.5, -1]], np.float32),
        "lexical": np.array([[0.5, 0.0, 0.0]], np.float32),
        "encoder": np.array([[b"5" * 64]], dtype=np.object_),
        "refused_by": np.array([[b""]], dtype=np.object_),
    }


def two_documents(query: str, status: str = "ok") -> Tensors:
    """Two documents and a column of padding, the first titled as the query; padding alone if the status is not ok."""
    found = status == "ok"

    def column(*cells: str) -> NDArray[Any]:
        filled = cells if found else [""] * len(cells)
        return np.array([[text.encode() for text in (*filled, "")]], dtype=np.object_)

    return {
        "document_id": column("limit", "abroad"),
        "title": column(query, "해외 송금"),
        "snippet": column("하루 이체 한도는 앱에서 늘릴 수 있어요.", "수수료는 나라마다 달라요."),
        "highlights": column("[[3, 5], [6, 9]]", "[]"),
        "url": column("https://help.example.com/limit", ""),
        "category": column("송금", "송금"),
        "document_score": np.array([[0.875, 0.5, -1] if found else [-1, -1, -1]], np.float32),
        "documents_status": np.array([[status.encode()]], dtype=np.object_),
    }


def two_suggestions(typed: str) -> Tensors:
    """Two suggestions and a column of padding; the first text begins as what is typed, the second is not UTF-8."""

    def column(*cells: bytes) -> NDArray[Any]:
        return np.array([[*cells, b""]], dtype=np.object_)

    return {
        "text": column(f"{typed} 한도".encode(), b"\xff"),
        "id": np.array([[101, 7, -1]], np.int64),
        "name": column("이체 한도 변경".encode(), "송금".encode()),
        "path": column("송금 > 이체 한도 변경".encode(), "송금".encode()),
        "source": column(b"query", b"phrase"),
        "score": np.array([[0.75, 0.5, -1]], np.float32),
        "generation": np.array([[42]], np.int64),
    }


def from_raw(raw: bytes, datatype: str, shape: list[int]) -> NDArray[Any]:
    if datatype == "BYTES":
        return np.asarray(deserialize_bytes_tensor(raw)).reshape(shape)
    return np.frombuffer(raw, triton_to_np_dtype(datatype)).reshape(shape)


def to_raw(array: NDArray[Any]) -> bytes:
    return bytes(serialize_byte_tensor(array).item()) if array.dtype == np.object_ else array.tobytes()
