"""Inference requests that are well-formed and wrong in one place, with what must come of each."""

from __future__ import annotations

import math
import random
import struct
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from benchmarks.soak.fuzz_expect import (
    BAD,
    BAD_OR_NOT_JSON,
    OK,
    OK_OR_BAD,
    OK_OR_LATE,
    UNKNOWN,
    UNREADABLE,
    UNSUPPORTED,
    Expected,
)  # fmt: skip
from benchmarks.soak.fuzz_values import (
    KIND,
    MIN_SCORE,
    MODELS,
    SURFACE,
    TOP_K,
    embedding,
    fp32,
    good_number,
    ids,
    int32,
    string,
    taken,
    text,
    valid,
)
from benchmarks.soak.fuzz_wire import Call, Tensor, strings

Random = random.Random
Case = tuple[str, Call, Expected]  # what it is, in short
SIZES = {"BOOL": 1, "UINT8": 1, "UINT16": 2, "UINT32": 4, "UINT64": 8, "INT8": 1, "INT16": 2, "INT32": 4, "INT64": 8}
SIZES |= {"FP16": 2, "BF16": 2, "FP32": 4, "FP64": 8}
DTYPES = (*SIZES, "BYTES", "STRING", "", "TYPE_FP32", "fp32", "X" * 1000, "FP8", "송")
HUGE = (2**31, 2**32 - 1, 2**40, 2**60, 2**61 - 1, 2**62, 2**63 - 1)
TEXT_MODELS = ("search", "embed", "tokenizer")


def texts(rng: Random, width: int) -> Case:
    """One odd text."""
    model, raw = rng.choice((*TEXT_MODELS, "search")), text(rng)
    call = Call(model, (string("query" if model == "search" else "text", raw),))
    return f"text of {len(raw)} bytes {raw[:24]!r}", call, OK if taken(raw) else BAD


def options(rng: Random, width: int) -> Case:
    """An option at its extremes."""
    name = rng.choice(("top_k", "min_score", "kind", "surface"))
    if name == "kind":
        kind = rng.choice(KIND)
        call = _with(valid(rng, rng.choice(("embed", "tokenizer")), width), string(name, kind))
        return f"kind {kind[:16]!r}", call, OK if kind in KIND[:2] else BAD
    call = valid(rng, rng.choice(("search", "scorer")), width)
    if name == "surface":
        surface = rng.choice((b"RECO", *SURFACE))
        return f"surface {surface[:16]!r}", _with(call, string(name, surface)), OK_OR_BAD if surface == b"RECO" else BAD
    value = rng.choice(TOP_K if name == "top_k" else MIN_SCORE)
    if rng.random() < 0.2:
        value = rng.randint(-(2**31), 2**31 - 1) if name == "top_k" else rng.uniform(-2, 2)
    tensor = int32(name, int(value)) if name == "top_k" else fp32(name, value)
    return f"{name} {value}", _with(call, tensor), OK if good_number(name, value) else BAD


def vectors(rng: Random, width: int) -> Case:
    """Embeddings that are no embeddings."""
    call = valid(rng, "scorer", width)
    kind = rng.choice(("nan", "inf", "-inf", "0", "3e38", "1e-45", "-1e-38", "wide", "narrow", "none", "bits"))
    made = np.frombuffer(embedding(rng, width).raw, "<f4").copy()
    if kind == "bits":
        made = np.frombuffer(rng.randbytes(4 * width), "<f4")
    elif kind in ("wide", "narrow", "none"):
        made = np.ones({"wide": width + rng.randint(1, 9), "narrow": rng.randrange(1, width), "none": 0}[kind], "<f4")
    else:
        made[rng.randrange(width) if rng.random() < 0.5 else slice(None)] = float(kind)
    good = len(made) == width and np.isfinite(made).all()
    call = _with(call, Tensor("embedding", "FP32", (1, len(made)), made.tobytes()))
    return f"embedding {kind}", call, OK if good else BAD


def token_ids(rng: Random, width: int) -> Case:
    """Ids that are no text: they are answered, with NaN, so that none in the batch is harmed."""
    extreme = (-1, -1, -(2**63), 2**63 - 1, 2**31, 10**9, 0, 5)
    long = rng.random() < 0.02
    length = rng.choice((513, 600, 5000)) if long else rng.choice((0, 1, 1, 3, 7))
    rows = 1 if long else rng.choice((1, 1, 2, 5))
    made = [[4 if long else rng.choice(extreme) for _ in range(length)] for _ in range(rows)]
    if rng.random() < 0.3 and not long:
        made = [[-1] * length for _ in made]
    return f"ids {rows} x {length}", Call("encoder", (ids(made),)), OK


def batches(rng: Random, width: int) -> Case:
    """Batches of all sizes; 64 are the most."""
    model = rng.choice(MODELS)
    rows = rng.choice((0, 0, 2, 3, 8, 64, 65, 65, 1000))
    if rows == 0:
        call = valid(rng, model, width)
        call = replace(call, tensors=tuple(replace(t, shape=(0, *t.shape[1:]), raw=b"") for t in call.tensors))
    else:
        call = valid(rng, model, width, rows)
    return f"batch of {rows}", call, OK if 1 <= rows <= 64 else BAD


def shapes(rng: Random, width: int) -> Case:
    """A shape that the bytes do not fill, or of another rank."""
    call = valid(rng, rng.choice(MODELS), width)
    tensor = rng.choice(call.tensors)
    kind = rng.choice(("rank", "zero", "more", "negative", "huge", "batch"))
    last = tensor.shape[-1]
    shape: tuple[int, ...]
    expected = BAD
    if kind == "rank":
        shape = rng.choice(((), (last,), (1, 1, last), (1, 1, 1, last), (1,) * 100))
    elif kind == "zero":
        shape = (1, 0)
    elif kind == "more":
        shape = (1, last + rng.randint(1, 5))
    elif kind == "negative":
        shape = rng.choice(((-1, last), (1, -1), (1, -(2**63)), (-(2**63), last), (-65, -last), (-(2**32), last)))
        expected = BAD_OR_NOT_JSON | (OK if shape[0] % 2**32 == 0 else BAD)
    elif kind == "huge":
        shape = rng.choice(((1, rng.choice(HUGE)), (64, rng.choice(HUGE)), (rng.choice(HUGE), rng.choice(HUGE))))
    else:  # Triton keeps 32 bits of it: 0, which our models refuse, unless another tensor says 1
        shape, expected = (rng.choice((2**32, 2**33)), last), OK_OR_BAD
    if wraps(shape, tensor):
        return shapes(rng, width)
    return f"{tensor.name} of shape {shape}", _with(call, replace(tensor, shape=shape)), expected


def wraps(shape: Sequence[int], tensor: Tensor) -> bool:
    """Whether a shape's bytes modulo 2**64 are those sent, while the shape itself is absurd.

    Triton 2.51 takes such a shape (input_ids INT64 [1, 2**61] without a byte) for a good one, and NumPy in the Python
    backend's stub throws: the stub dies, and Triton fails every request for ever. Nothing here can refuse it before
    that, so it is left out; docs/security.md says who must not reach `encoder` and `scorer`.
    """
    if tensor.dtype == "BYTES" or len(shape) != 2:
        return False
    batch = max(shape[0] % 2**32, 1)
    size = batch * shape[1] * SIZES[tensor.dtype]
    return size >= 2**63 and size % 2**64 == len(tensor.raw)


def dtypes(rng: Random, width: int) -> Case:
    """Another type than the model's."""
    call = valid(rng, rng.choice(MODELS), width)
    tensor = rng.choice(call.tensors)
    dtype = rng.choice([dtype for dtype in DTYPES if dtype != tensor.dtype])
    if dtype in SIZES and rng.random() < 0.5:  # bytes that fit the wrong type
        tensor = replace(tensor, raw=bytes(SIZES[dtype] * math.prod(tensor.shape)))
    return f"{tensor.name} of type {dtype[:12]!r}", _with(call, replace(tensor, dtype=dtype)), BAD


def contents(rng: Random, width: int) -> Case:
    """Too few bytes, too many, or lengths that lie; not to the scorer itself, whose batch would be refused with it."""
    call = valid(rng, rng.choice(MODELS), width)
    tensor = rng.choice([tensor for tensor in call.tensors if call.model != "scorer" or tensor.dtype != "BYTES"])
    kind = rng.choice(("none", "cut", "more", "lie", "elements", "megabyte" if rng.random() < 0.1 else "cut"))
    raw = tensor.raw
    if kind == "none":
        raw = b""
    elif kind == "cut":
        raw = raw[: rng.randrange(len(raw))]
    elif kind == "megabyte":
        raw += bytes(1 << 20)
    elif kind == "elements" and tensor.dtype == "BYTES":
        raw += strings([b"", b"x"][: rng.randint(1, 2)])
    elif kind == "lie" and tensor.dtype == "BYTES":
        said = struct.unpack_from("<I", raw)[0]
        lie = rng.choice((said + 1, max(said - 1, 0), 0, 2**31 - 1, 2**31, 2**32 - 1, 2**32 - 4))
        raw = struct.pack("<I", lie) + raw[4:]
    else:
        raw += rng.randbytes(rng.randint(1, 40))
    return f"{tensor.name} {kind}: {len(raw)} bytes", _with(call, replace(tensor, raw=raw)), BAD


def sets(rng: Random, width: int) -> Case:
    """Inputs and outputs that are missing, double or unknown."""
    call = valid(rng, rng.choice(MODELS), width)
    first = call.tensors[0]
    cases: Sequence[tuple[str, Call, Expected]] = (
        ("no input", replace(call, tensors=()), BAD),
        ("the first input missing", replace(call, tensors=call.tensors[1:]), BAD),
        ("an input twice", replace(call, tensors=(*call.tensors, first)), BAD),
        ("an unknown input", replace(call, tensors=(*call.tensors, replace(first, name=_name(rng)))), BAD),
        ("an input of another name", replace(call, tensors=(replace(first, name=_name(rng)), *call.tensors[1:])), BAD),
        ("an option for two", _with(valid(rng, "search", width), int32("top_k", 3, 3)), BAD),
        ("an unknown output", replace(call, outputs=(_name(rng),)), BAD),
        ("an output many times", Call("search", (string("query", b"a"),), ("id",) * rng.randint(2, 50)), OK),
        ("some outputs", Call("search", (string("query", b"a"),), ("score", "lexical")), OK),
    )
    return rng.choice(cases)


def parameters(rng: Random, width: int) -> Case:
    """Parameters that nothing here takes, and Triton's own with wrong values."""
    some: Sequence[tuple[dict[str, bool | int | float | str], Expected]] = (
        ({"sequence_id": rng.choice((1, 2**62, "a", "x" * 128))}, OK),
        ({"sequence_id": "x" * rng.choice((129, 1000))}, UNSUPPORTED),
        ({"sequence_id": 7, "sequence_start": True, "sequence_end": rng.random() < 0.5}, OK),
        ({"sequence_start": "x"}, BAD_OR_NOT_JSON),
        ({"priority": rng.choice((0, 1, 2**62))}, OK),
        ({"priority": rng.choice((-1, 1.5, "a", True))}, BAD_OR_NOT_JSON),
        ({"timeout": rng.choice((0, 2**62))}, OK),
        ({"timeout": 1}, OK_OR_LATE),
        ({"timeout": -1}, OK | {UNREADABLE}),  # gRPC's are signed
        ({"timeout": "soon"}, BAD_OR_NOT_JSON),
        ({"headers": "x", _name(rng): rng.choice((1, 1.5, True, "y" * 1000))}, OK),
        ({"triton_enable_empty_final_response": True}, OK | BAD),  # gRPC's alone
        ({"triton_" + _name(rng): 1}, BAD),
        ({"x" * rng.choice((1000, 50_000)): 1}, OK),
    )
    said, expected = rng.choice(some)
    return f"parameters {str(said)[:60]}", replace(valid(rng, rng.choice(MODELS), width), parameters=said), expected


def models(rng: Random, width: int) -> Case:
    """Models and versions that are not there."""
    call = valid(rng, rng.choice(MODELS), width)
    name = rng.choice(("nope", "Search", "search ", "../search", "search/versions/1", "송금", "%s%n", "a" * 500))
    cases: Sequence[tuple[str, Call, Expected]] = (
        (f"model {name[:20]!r}", replace(call, model=name), UNKNOWN),
        ("version 1", replace(call, version="1"), OK),
        ("version 2", replace(call, version=rng.choice(("2", "1000", str(2**31)))), UNKNOWN),
        # HTTP's address has room for digits alone.
        ("version of no number", replace(call, version=rng.choice(("-1", "x", "v1"))), BAD | UNKNOWN),
        ("version beyond 64 bits", replace(call, version="9" * 30), BAD),
        ("a long id", replace(call, id="x" * rng.choice((1, 1000, 50_000))), OK),
    )
    return rng.choice(cases)


def _name(rng: Random) -> str:
    return rng.choice(("nothing", "x", "Query", "", "송금", "a" * 300, "query ", "INPUT0"))


def _with(call: Call, tensor: Tensor) -> Call:
    """The call with this tensor in place of the one of that name, or added."""
    others = [own for own in call.tensors if own.name != tensor.name]
    at = next((i for i, own in enumerate(call.tensors) if own.name == tensor.name), len(others))
    return replace(call, tensors=(*others[:at], tensor, *others[at:]))


Make = Callable[[Random, int], Case]
WEIGHTS: dict[Make, int] = {
    texts: 220, options: 120, vectors: 60, token_ids: 40, batches: 12, shapes: 90, dtypes: 60, contents: 90, sets: 60,
    parameters: 40, models: 30,
}  # fmt: skip
