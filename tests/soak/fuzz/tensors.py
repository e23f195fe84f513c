"""Strategies for inference requests that are well-formed and odd in one place, with what must come of each."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st

from tests.soak.fuzz.statuses import (
    BAD,
    BAD_OR_NOT_JSON,
    OK,
    OK_OR_BAD,
    OK_OR_LATE,
    UNKNOWN,
    UNREADABLE,
    UNSUPPORTED,
    Expected,
)
from tests.soak.fuzz.values import (
    KIND,
    MIN_SCORE,
    PERSONAL,
    SURFACE,
    TOP_K,
    embedding,
    number_expected,
    text_expected,
    texts,
    valid,
)
from tests.soak.wire import Call, Tensor, fp32, ids, int32, string, strings

Case = tuple[str, Call, Expected]  # a few words on what is odd, the request, how it may be answered
SIZES = {"BOOL": 1, "UINT8": 1, "UINT16": 2, "UINT32": 4, "UINT64": 8, "INT8": 1, "INT16": 2, "INT32": 4, "INT64": 8}
SIZES |= {"FP16": 2, "BF16": 2, "FP32": 4, "FP64": 8}
DTYPES = (*SIZES, "BYTES", "STRING", "", "TYPE_FP32", "fp32", "X" * 1000, "FP8", "송")
HUGE = (2**31, 2**32 - 1, 2**40, 2**60, 2**61 - 1, 2**62, 2**63 - 1)
NAMES = ("nothing", "x", "Query", "", "송금", "a" * 300, "query ", "INPUT0")
_names = st.sampled_from(NAMES)


@st.composite
def odd_text(draw: st.DrawFn, width: int) -> Case:
    """One odd text."""
    model, raw = draw(st.sampled_from(("search", "embed", "tokenizer", "suggest"))), draw(texts)
    call = Call(model, (string({"search": "query", "suggest": "typed"}.get(model, "text"), raw),))
    return f"text of {len(raw)} bytes {raw[:24]!r}", call, text_expected(raw)


@st.composite
def odd_option(draw: st.DrawFn, width: int) -> Case:
    """An option at its extremes."""
    name = draw(st.sampled_from(("top_k", "min_score", "kind", "surface", "personal")))
    if name == "kind":
        kind = draw(st.sampled_from(KIND))
        call = _with(draw(valid(width, ("embed", "tokenizer"))), string(name, kind))
        return f"kind {kind[:16]!r}", call, OK if kind in KIND[:3] else BAD
    call = draw(valid(width, ("search", "scorer")))
    if name == "personal":
        raw = draw(st.sampled_from(PERSONAL) | st.binary(max_size=60))
        return f"personal {raw[:16]!r}", _with(call, string(name, raw)), BAD if raw else OK
    if name == "surface":
        surface = draw(st.sampled_from(SURFACE))
        expected = OK_OR_BAD if surface == b"RECO" else BAD
        return f"surface {surface[:16]!r}", _with(call, string(name, surface)), expected
    if name == "top_k":
        count = draw(st.sampled_from(TOP_K) | st.integers(-(2**31), 2**31 - 1))
        return f"top_k {count}", _with(call, int32(name, count)), number_expected(name, count)
    score = draw(st.sampled_from(MIN_SCORE) | st.floats(width=32))
    return f"min_score {score}", _with(call, fp32(name, score)), number_expected(name, score)


@st.composite
def odd_embedding(draw: st.DrawFn, width: int) -> Case:
    """A vector that is none."""
    call = draw(valid(width, ("scorer",)))
    kind = draw(
        st.sampled_from(("nan", "inf", "-inf", "0", "3e38", "1e-45", "-1e-38", "wide", "narrow", "none", "bits"))
    )
    made = np.frombuffer(embedding(0, width).raw, "<f4").copy()
    if kind == "bits":
        made = np.frombuffer(np.random.default_rng(draw(st.integers(0, 2**32))).bytes(4 * width), "<f4")
    elif kind in ("wide", "narrow", "none"):
        made = np.ones({"wide": width + 1, "narrow": draw(st.integers(1, width - 1)), "none": 0}[kind], "<f4")
    else:
        made[draw(st.sampled_from((0, slice(None))))] = float(kind)
    good = len(made) == width and np.isfinite(made).all()
    call = _with(call, Tensor("embedding", "FP32", (1, len(made)), made.tobytes()))
    return f"embedding {kind}", call, OK if good else BAD


@st.composite
def odd_ids(draw: st.DrawFn, width: int) -> Case:
    """Ids that are no text: answered with NaN or refused, and never at the cost of another in the batch."""
    length = draw(st.sampled_from((0, 1, 1, 3, 7)))
    extreme = st.sampled_from((-1, -(2**63), 2**63 - 1, 2**31, 10**9, 0, 5))
    rows = draw(st.lists(st.lists(extreme, min_size=length, max_size=length), min_size=1, max_size=5))
    if draw(st.integers(0, 49)) == 7:
        rows = [[4] * draw(st.sampled_from((513, 600, 5000)))]
    return f"ids {len(rows)} × {len(rows[0])}", Call("encoder", (ids(rows),)), OK_OR_BAD


@st.composite
def odd_batch(draw: st.DrawFn, width: int) -> Case:
    """Batches of all sizes; 64 are the most."""
    rows = draw(st.sampled_from((0, 2, 3, 8, 64, 65, 1000)))
    call = draw(valid(width, rows=max(rows, 1)))
    if rows == 0:
        call = replace(call, tensors=tuple(replace(t, shape=(0, *t.shape[1:]), raw=b"") for t in call.tensors))
    return f"batch of {rows}", call, OK if 1 <= rows <= 64 else BAD


@st.composite
def odd_shape(draw: st.DrawFn, width: int) -> Case:
    """A shape that the bytes do not fill, or of another rank."""
    call = draw(valid(width))
    tensor = draw(st.sampled_from(call.tensors))
    last = tensor.shape[-1]
    huge = st.sampled_from(HUGE)
    wrong: dict[str, tuple[st.SearchStrategy[tuple[int, ...]], Expected]] = {
        "rank": (st.sampled_from(((), (last,), (1, 1, last), (1, 1, 1, last), (1,) * 100)), BAD),
        "empty": (st.just((1, 0)), BAD),
        "more": (st.integers(1, 5).map(lambda more: (1, last + more)), BAD),
        "negative": (
            st.sampled_from(((-1, last), (1, -1), (1, -(2**63)), (-(2**63), last), (-65, -last), (-(2**32), last))),
            BAD_OR_NOT_JSON,
        ),
        "huge": (st.tuples(st.sampled_from((1, 64)) | huge, huge), BAD),
        # Triton keeps 32 bits of it: 0, which our models refuse, unless another tensor says 1.
        "batch": (st.sampled_from(((2**32, last), (2**33, last))), OK_OR_BAD),
    }
    kind = draw(st.sampled_from(tuple(wrong)))
    shape, expected = draw(wrong[kind][0]), wrong[kind][1]
    if kind == "negative" and shape[0] % 2**32 == 0:
        expected |= OK
    assume(not wraps(shape, tensor))
    if kind == "empty" and tensor.name == "input_ids":
        expected = OK_OR_BAD
    return f"{tensor.name} of shape {shape}", _with(call, replace(tensor, shape=shape)), expected


def wraps(shape: Sequence[int], tensor: Tensor) -> bool:
    """Whether a shape's bytes modulo 2**64 are those sent, while the shape itself is absurd.

    That ends a model's process in Triton 2.51: tests/soak/test_crashes.py.
    """
    if tensor.dtype == "BYTES" or len(shape) != 2:
        return False
    batch = max(shape[0] % 2**32, 1)
    size = batch * shape[1] * SIZES[tensor.dtype]
    return size >= 2**63 and size % 2**64 == len(tensor.raw)


@st.composite
def odd_dtype(draw: st.DrawFn, width: int) -> Case:
    """Another type than the model's."""
    call = draw(valid(width))
    tensor = draw(st.sampled_from(call.tensors))
    dtype = draw(st.sampled_from([dtype for dtype in DTYPES if dtype != tensor.dtype]))
    if dtype in SIZES and draw(st.booleans()):  # bytes that fit the wrong type
        tensor = replace(tensor, raw=bytes(SIZES[dtype] * math.prod(tensor.shape)))
    return f"{tensor.name} of type {dtype[:12]!r}", _with(call, replace(tensor, dtype=dtype)), BAD


@st.composite
def odd_bytes(draw: st.DrawFn, width: int) -> Case:
    """Too few bytes, too many, or BYTES whose lengths lie.

    Not to the scorer itself, whose batch is refused with it: tests/soak/test_crashes.py.
    """
    call = draw(valid(width))
    tensor = draw(st.sampled_from([t for t in call.tensors if call.model != "scorer" or t.dtype != "BYTES"]))
    raw = tensor.raw
    wrong = {"none": st.just(b""), "cut": st.integers(0, len(raw) - 1).map(lambda size: raw[:size])}
    wrong["more"] = st.binary(min_size=1, max_size=40).map(lambda more: raw + more)
    if tensor.dtype == "BYTES":
        size = struct.unpack_from("<I", raw)[0]
        lies = st.sampled_from((size + 1, max(size - 1, 0), 0, 2**31 - 1, 2**31, 2**32 - 1, 2**32 - 4))
        wrong["lie"] = lies.map(lambda lie: struct.pack("<I", lie) + raw[4:])
        wrong["elements"] = st.sampled_from(([b""], [b"", b"x"])).map(lambda more: raw + strings(more))
    kind = draw(st.sampled_from(tuple(wrong)))
    changed = draw(wrong[kind])
    if kind == "more" and draw(st.integers(0, 19)) == 7:
        changed = raw + bytes(1 << 20)
    return f"{tensor.name} {kind}: {len(changed)} bytes", _with(call, replace(tensor, raw=changed)), BAD


@st.composite
def odd_names(draw: st.DrawFn, width: int) -> Case:
    """Inputs and outputs that are missing, double or unknown."""
    call, name = draw(valid(width)), draw(_names)
    first, search = call.tensors[0], Call("search", (string("query", b"a"),))
    cases: Sequence[Case] = (
        ("no input", replace(call, tensors=()), BAD),
        ("the first input missing", replace(call, tensors=call.tensors[1:]), BAD),
        ("an input twice", replace(call, tensors=(*call.tensors, first)), BAD),
        ("an unknown input", replace(call, tensors=(*call.tensors, replace(first, name=name))), BAD),
        ("an input of another name", replace(call, tensors=(replace(first, name=name), *call.tensors[1:])), BAD),
        ("an option for two", _with(search, int32("top_k", 3, 3)), BAD),
        ("an unknown output", replace(call, outputs=(name,)), BAD),
        ("an output many times", replace(search, outputs=("id",) * draw(st.integers(2, 50))), OK),
        ("some outputs", replace(search, outputs=("score", "lexical")), OK),
    )
    return draw(st.sampled_from(cases))


@st.composite
def odd_parameters(draw: st.DrawFn, width: int) -> Case:
    """Parameters that nothing here takes, and Triton's own with wrong values."""
    some: Sequence[tuple[Mapping[str, bool | int | float | str], Expected]] = (
        *(({"sequence_id": value}, OK) for value in (1, 2**62, "a", "x" * 128)),
        *(({"sequence_id": "x" * length}, UNSUPPORTED) for length in (129, 1000)),
        ({"sequence_id": 7, "sequence_start": True, "sequence_end": True}, OK),
        ({"sequence_start": "x"}, BAD_OR_NOT_JSON),
        *(({"priority": value}, OK) for value in (0, 1, 2**62)),
        *(({"priority": value}, BAD_OR_NOT_JSON) for value in (-1, 1.5, "a", True)),
        *(({"timeout": value}, OK) for value in (0, 2**62)),
        ({"timeout": 1}, OK_OR_LATE),
        ({"timeout": -1}, OK | {UNREADABLE}),  # gRPC's are signed
        ({"timeout": "soon"}, BAD_OR_NOT_JSON),
        *(({"headers": "x", draw(_names): value}, OK) for value in (1, 1.5, True, "y" * 1000)),
        ({"triton_enable_empty_final_response": True}, OK | BAD),  # gRPC's alone
        ({"triton_" + draw(_names): 1}, BAD),
        *(({"x" * length: 1}, OK) for length in (1000, 50_000)),
    )
    parameters, expected = draw(st.sampled_from(some))
    return f"parameters {str(parameters)[:60]}", replace(draw(valid(width)), parameters=parameters), expected


@st.composite
def odd_model(draw: st.DrawFn, width: int) -> Case:
    """Models and versions that are not there."""
    call = draw(valid(width))
    name = draw(
        st.sampled_from(("nope", "Search", "search ", "../search", "search/versions/1", "송금", "%s%n", "a" * 500))
    )
    version = draw(st.sampled_from(("2", "1000", str(2**31))))
    cases: Sequence[Case] = (
        (f"model {name[:20]!r}", replace(call, model=name), UNKNOWN),
        ("version 1", replace(call, version="1"), OK),
        ("version 2", replace(call, version=version), UNKNOWN),
        # HTTP's address has room for digits alone.
        *(("version of no number", replace(call, version=no), BAD | UNKNOWN) for no in ("-1", "x", "v1")),
        ("version beyond 64 bits", replace(call, version="9" * 30), BAD),
        *(("a long id", replace(call, id="x" * length), OK) for length in (1, 1000, 50_000)),
    )
    return draw(st.sampled_from(cases))


def _with(call: Call, tensor: Tensor) -> Call:
    """The call with this tensor in place of the one of that name, or added."""
    others = [other for other in call.tensors if other.name != tensor.name]
    at = next((i for i, other in enumerate(call.tensors) if other.name == tensor.name), len(others))
    return replace(call, tensors=(*others[:at], tensor, *others[at:]))


KINDS = (
    odd_text, odd_text, odd_text, odd_option, odd_option, odd_embedding, odd_ids, odd_batch, odd_shape, odd_dtype,
    odd_bytes, odd_bytes, odd_names, odd_parameters, odd_model,
)  # fmt: skip


def cases(width: int) -> st.SearchStrategy[Case]:
    """A request that is odd in one place; texts, options and lengths that lie come more often."""
    return st.one_of(*(kind(width) for kind in KINDS))
