"""Requests as bytes on the wire, gRPC and HTTP, with nothing between that would refuse to send what is wrong."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import numpy as np
from tritonclient.grpc import service_pb2

INFER = "/inference.GRPCInferenceService/ModelInfer"
HEADER_LENGTH = "Inference-Header-Content-Length"


@dataclass(frozen=True)
class Tensor:
    """One input of a request: its name, type and shape as stated, and the bytes that are sent for it."""

    name: str
    dtype: str  # Triton's name of it
    shape: tuple[int, ...]
    raw: bytes


@dataclass(frozen=True)
class Call:
    """One inference request, before it is written in a protocol."""

    model: str
    tensors: tuple[Tensor, ...]
    outputs: tuple[str, ...] = ()
    version: str = ""
    id: str = ""
    parameters: Mapping[str, bool | int | float | str] = field(default_factory=dict)


@dataclass(frozen=True)
class Message:
    """The bytes of one request, and where they go."""

    grpc: bool
    path: str  # gRPC's method, or HTTP's path
    body: bytes
    method: str = "POST"
    headers: tuple[tuple[str, str], ...] = ()
    raw: bool = False  # HTTP: `body` is all that the connection carries, head included
    cut: bool = False  # raw HTTP: may not be a whole request, so that a server is right to wait for the rest of it


def strings(values: Iterable[bytes]) -> bytes:
    """A BYTES tensor's elements: each behind its length, uint32, little-endian."""
    return b"".join(struct.pack("<I", len(value)) + value for value in values)


def string(name: str, *values: bytes) -> Tensor:
    """A BYTES tensor [N, 1]."""
    return Tensor(name, "BYTES", (len(values), 1), strings(values))


def int32(name: str, *values: int) -> Tensor:
    """An INT32 tensor [N, 1]."""
    return Tensor(name, "INT32", (len(values), 1), struct.pack(f"<{len(values)}i", *values))


def boolean(name: str, *values: bool) -> Tensor:
    """A BOOL tensor [N, 1]."""
    return Tensor(name, "BOOL", (len(values), 1), bytes(values))


def fp32(name: str, *values: float) -> Tensor:
    """An FP32 tensor [N, 1]."""
    return Tensor(name, "FP32", (len(values), 1), np.array(values, "<f4").tobytes())


def ids(rows: Sequence[Sequence[int]]) -> Tensor:
    """Token ids, INT64 [N, L]."""
    return Tensor("input_ids", "INT64", (len(rows), len(rows[0])), np.array(rows, "<i8").tobytes())


def grpc_infer(call: Call, counts: int = 0) -> Message:
    """Over gRPC, tensors as raw bytes; `counts` more (or fewer) of them than inputs."""
    request = service_pb2.ModelInferRequest(model_name=call.model, model_version=call.version, id=call.id)
    for tensor in call.tensors:
        request.inputs.add(name=tensor.name, datatype=tensor.dtype, shape=tensor.shape)
    for name in call.outputs:
        request.outputs.add(name=name)
    for key, value in call.parameters.items():
        kind = {bool: "bool_param", int: "int64_param", float: "double_param", str: "string_param"}[type(value)]
        setattr(request.parameters[key], kind, value)
    contents = [tensor.raw for tensor in call.tensors]
    request.raw_input_contents.extend(contents[:counts] if counts < 0 else contents + contents[:1] * counts)
    return Message(True, INFER, request.SerializeToString())


def http_infer(call: Call) -> Message:
    """Over HTTP, tensors behind the JSON."""
    inputs: list[dict[str, Any]] = [
        {
            "name": tensor.name,
            "datatype": tensor.dtype,
            "shape": tensor.shape,
            "parameters": {"binary_data_size": len(tensor.raw)},
        }
        for tensor in call.tensors
    ]
    header: dict[str, Any] = {"inputs": inputs}
    if call.outputs:
        header["outputs"] = [{"name": name, "parameters": {"binary_data": True}} for name in call.outputs]
    header["parameters"] = {**call.parameters, **({} if call.outputs else {"binary_data_output": True})}
    if call.id:
        header["id"] = call.id
    return http_json(call.model, json.dumps(header).encode(), b"".join(t.raw for t in call.tensors), call.version)


def http_json(model: str, header: bytes, blob: bytes = b"", version: str = "", length: str | None = None) -> Message:
    """Over HTTP, any bytes as the JSON; `length` is what the header states."""
    name = quote(model, safe="")
    path = f"/v2/models/{name}/versions/{version}/infer" if version else f"/v2/models/{name}/infer"
    stated = str(len(header)) if length is None else length
    return Message(False, path, header + blob, headers=((HEADER_LENGTH, stated),))


def raw_http(path: str, body: bytes, headers: Sequence[tuple[str, str]], method: str = "POST") -> Message:
    """A whole HTTP/1.1 request as bytes, its head as given."""
    head = "".join(f"{name}: {value}\r\n" for name, value in (("Host", "malgil"), *headers))
    return Message(False, path, f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body, method, raw=True)
