"""The fuzzer's requests: the same ones for the same seed, each made alone, so that one can be sent again."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from itertools import accumulate

from benchmarks.soak import fuzz_protocol, fuzz_tensors
from benchmarks.soak.fuzz_expect import OK, Expected
from benchmarks.soak.fuzz_known import CALLS
from benchmarks.soak.fuzz_wire import Message, grpc_infer, http_infer

GOOD_SHARE = 0.12
HEADERS = (("traceparent", "00-x"), ("x-request-id", "9" * 500), ("accept-language", "ko;q=x"), ("x-a", "; ,="))
_TENSORS = tuple(fuzz_tensors.WEIGHTS)
_TENSOR_SUMS = tuple(accumulate(fuzz_tensors.WEIGHTS.values()))
_PROTOCOL = tuple(fuzz_protocol.WEIGHTS)
_PROTOCOL_SUMS = tuple(accumulate(fuzz_protocol.WEIGHTS.values()))
_TENSOR_SHARE = _TENSOR_SUMS[-1] / (_TENSOR_SUMS[-1] + _PROTOCOL_SUMS[-1])


@dataclass(frozen=True)
class Request:
    """One request, and how it may be answered."""

    number: int
    what: str  # in short
    message: Message
    expected: Expected
    good: int | None = None  # the place in fuzz_known.CALLS of a request whose answer is known


def make(seed: int, number: int, width: int) -> Request:
    """Request `number` of a seed; `width` is that of the encoder's embeddings."""
    rng = random.Random(f"malgil {seed} {number}")
    to_wire = grpc_infer if rng.random() < 0.5 else http_infer
    if rng.random() < GOOD_SHARE:
        place = rng.randrange(len(CALLS))
        message = to_wire(CALLS[place])
        return Request(number, f"{'gRPC' if message.grpc else 'HTTP'} good request {place}", message, OK, place)
    if rng.random() > _TENSOR_SHARE:
        what, message, expected = rng.choices(_PROTOCOL, cum_weights=_PROTOCOL_SUMS)[0](rng)
        return Request(number, what, message, expected)
    what, call, expected = rng.choices(_TENSORS, cum_weights=_TENSOR_SUMS)[0](rng, width)
    message = to_wire(call)
    if rng.random() < 0.05:
        message = replace(message, headers=(*message.headers, rng.choice(HEADERS)))
    return Request(number, f"{'gRPC' if message.grpc else 'HTTP'} {call.model[:20]}: {what}", message, expected)
