"""Talking to the live server tensor by tensor, without the client's help, and waiting for what it does."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from tritonclient import grpc
from tritonclient.utils import np_to_triton_dtype

OUTPUTS = {
    "search": ("id", "name", "path", "phrase", "score", "generation"),
    "scorer": ("id", "name", "path", "phrase", "score", "generation"),
    "embed": ("embedding",),
    "encoder": ("embedding",),
    "tokenizer": ("input_ids",),
    "suggest": ("text", "id", "name", "path", "source", "score", "generation"),
    "events": ("accepted",),
}


def texts(values: Sequence[str | bytes]) -> Any:
    """A BYTES tensor [N, 1]."""
    raw = [value.encode() if isinstance(value, str) else value for value in values]
    array = np.empty((len(raw), 1), dtype=np.object_)
    array[:, 0] = raw
    return array


def inputs(tensors: Mapping[str, Any]) -> list[Any]:
    """Triton's inputs from arrays [N, …]."""
    made = []
    for name, array in tensors.items():
        tensor = grpc.InferInput(name, array.shape, np_to_triton_dtype(array.dtype))
        tensor.set_data_from_numpy(array)
        made.append(tensor)
    return made


def infer(client: Any, model: str, **tensors: Any) -> dict[str, Any]:
    """All outputs of one request."""
    result = client.infer(model, inputs(tensors))
    return {name: result.as_numpy(name) for name in OUTPUTS[model]}


def decoded(array: Any) -> list[list[str]]:
    """BYTES [N, K] as text."""
    return [[value.decode() for value in row] for row in array]


def until(true: Callable[[], bool], seconds: float = 30.0) -> None:
    """Wait until something is so; a busy machine takes its time, and counters lag the answers that they count."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)
