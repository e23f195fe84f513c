"""Strategies for what is no inference request: malformed JSON, HTTP and protobufs, and every other endpoint."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Sequence
from dataclasses import replace

from hypothesis import strategies as st
from tritonclient.grpc import service_pb2

from tests.soak.fuzz.statuses import (
    ANY,
    BAD,
    HUNG_UP,
    NO_METHOD,
    NOT_JSON,
    OK,
    RESTRICTED,
    UNKNOWN,
    UNREADABLE,
    UNSUPPORTED,
    Expected,
)
from tests.soak.wire import INFER, Call, Message, grpc_infer, http_infer, http_json, raw_http, string

Sent = tuple[str, Message, Expected]
SERVICE = INFER.rpartition("/")[0] + "/"
PATH = "/v2/models/search/infer"
GOOD = b'{"inputs":[{"name":"query","datatype":"BYTES","shape":[1,1],"data":["a"]}]}'
CALL = Call("search", (string("query", b"a"),), ("id",))
DEEPEST_DATA = 100_000  # brackets


def _put(old: bytes, new: bytes) -> bytes:
    assert old in GOOD
    return GOOD.replace(old, new)


def _add(member: bytes) -> bytes:
    return GOOD[:-1] + b"," + member + b"}"


def _binary(size: bytes) -> bytes:
    return _put(b'"data":["a"]', b'"parameters":{"binary_data_size":' + size + b"}")


JSONS: Sequence[tuple[bytes, Expected]] = (
    (GOOD, OK),
    (b"\xef\xbb\xbf" + GOOD, OK),
    (_add(b'"inputs":[]'), OK),  # the first of two counts
    (_put(b'["a"]', b'[[["a"]]]'), OK),
    (_put(b'["a"]', b"[" * DEEPEST_DATA + b'"a"' + b"]" * DEEPEST_DATA), OK),
    (_put(b'["a"]', rb'["\u0000"]'), BAD),
    (_add(b'"outputs":[{"name":"score","parameters":{"classification":3}}]'), OK),
    (_add(b'"outputs":[{"name":"score","parameters":{"classification":1000000000}}]'), OK),
    (_put(b'["a"]', b'["a","b"]'), BAD),
    (_put(b'["a"]', b'["\xff"]'), BAD),
    (_put(b',"data":["a"]', b""), BAD),
    (b'{"inputs":[1]}', BAD),
    (b'{"inputs":[{}]}', BAD),
    (b'{"inputs":[]}', BAD),
    (b'{"inputs":' + b"[" * 2000 + b"]" * 2000 + b"}", BAD),
    (_binary(b"9999999999999"), BAD),
    (_binary(b"18446744073709551615"), BAD),
    (_add(b'"parameters":{"a":{"b":1}}'), BAD),
    (_add(b'"parameters":{"a":null}'), BAD),
    (_put(b'"data":["a"]', b'"parameters":{"shared_memory_region":"x","shared_memory_byte_size":5}'), UNKNOWN),
    *((json, NOT_JSON) for json in (
        b"{}", b"[]", b"null", b"1", b"hello", b"\xff\0\1", GOOD[:-1], GOOD + b"]", b"[" * 20_000, b'{"a":' * 5000,
        b"[" * 20_000 + b"]" * 20_000, b'{"inputs":"a"}',
        _put(b'"query"', b"1"), _put(b'"BYTES"', b"7"), _put(b'["a"]', b"[1]"), _put(b'["a"]', b"null"),
        _put(b'["a"]', b"{}"), _put(b'["a"]', rb'["\ud800"]'), _put(b"[1,1]", b'"x"'), _put(b"[1,1]", b"[1.5,1]"),
        _put(b"[1,1]", b"[1e400,1]"), _put(b"[1,1]", b"[99999999999999999999999999,1]"), _put(b"[1,1]", b"[true,1]"),
        _binary(b'"x"'), _binary(b"-1"), _add(b'"outputs":[{"name":1}]'), _add(b'"id":5'), _add(b'"parameters":[1]'),
        _add(b'"outputs":[{"name":"id","parameters":{"classification":-3}}]'),
    )),
)  # fmt: skip
# What the header says of the JSON's length.
LENGTHS: Sequence[tuple[str, Expected]] = (
    ("0", BAD), ("-1", BAD), ("9" * 30, BAD), ("1000", BAD), ("x", BAD), ("", BAD), ("10", NOT_JSON),
)  # fmt: skip


_json_bodies = st.sampled_from(JSONS).map(lambda it: (f"JSON {it[0][:90]!r}", http_json("search", it[0]), it[1]))
_json_lengths = st.sampled_from(LENGTHS).map(
    lambda it: (f"JSON's length {it[0][:9]!r}", http_json("search", GOOD, length=it[0]), it[1])
)
_json_tails = st.binary(min_size=1, max_size=99).map(
    lambda tail: ("bytes after the JSON", http_json("search", GOOD, tail), BAD)
)


def _sent_json(value: object) -> Sent:
    body = json.dumps(value, ensure_ascii=False).encode()
    return f"JSON {body[:90]!r}", http_json("search", body), BAD | NOT_JSON


# JSON of any form, with tensors' names in it: refused, whatever it is.
_any_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(("inputs", "name", "data", "shape", "datatype", "id", "x")), inner, max_size=3
        )
    ),
    max_leaves=8,
).map(_sent_json)
# Triton 2.51 does not free what it has unpacked of a request that it cannot read, a megabyte for a kilobyte of gzip:
# only small bodies are sent, so that another leak still shows.
_packed = gzip.compress(GOOD, mtime=0)
COMPRESSED: Sequence[tuple[str, bytes, Expected]] = (
    ("gzip", _packed, OK), ("deflate", zlib.compress(GOOD), OK), ("br", GOOD, UNSUPPORTED), ("gzip", b"", BAD),
    ("gzip", b"\x1f\x8bgarbage", BAD), ("gzip", GOOD, BAD), ("gzip", gzip.compress(b"{" * 9, mtime=0), NOT_JSON),
)  # fmt: skip
_compressed = st.sampled_from(COMPRESSED).map(
    lambda it: (
        f"{it[0]} of {len(it[1])} bytes",
        Message(False, PATH, it[1], headers=(("Content-Encoding", it[0]),)),
        it[2],
    )
)
_LENGTH, _CHUNKED = ("Content-Length", str(len(GOOD))), ("Transfer-Encoding", "chunked")
RAW: Sequence[tuple[Message, Expected]] = (
    (raw_http(PATH, GOOD, [_LENGTH]), OK),
    (raw_http(PATH, b"%x\r\n%s\r\n0\r\n\r\n" % (len(GOOD), GOOD), [_CHUNKED]), OK),
    *((raw_http(PATH, GOOD, [("Content-Length", length)]), HUNG_UP) for length in ("500", "-5", "9" * 20)),
    *((raw_http(PATH, body, [_CHUNKED]), HUNG_UP) for body in (
        b"zz\r\nabc\r\n", b"ffffffffffffffff\r\nabc\r\n", b"5\r\nab",
    )),
    (raw_http(PATH, b"", [("X", "a" * 100_000)]), HUNG_UP),
    (raw_http(PATH, b"", [("X", "a")] * 2000), HUNG_UP),
    (raw_http("/v2/models/" + "a" * 10_000, b"", [], "GET"), HUNG_UP),
    (raw_http("/v2/models/%zz%00", b"", [], "GET"), UNKNOWN),
    (raw_http(PATH, b"", [("X", "a\0b")]), HUNG_UP),
    (Message(False, PATH, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", raw=True), HUNG_UP),
    (Message(False, PATH, b"", raw=True), HUNG_UP),
)  # fmt: skip
_no_http = st.binary(min_size=1, max_size=200).map(lambda body: (Message(False, PATH, body, raw=True), HUNG_UP))
_raw = (st.sampled_from(RAW) | _no_http).map(
    lambda it: (
        f"HTTP {it[0].body[:40]!r}…{it[0].body[-20:]!r}",
        replace(it[0], cut=it[1] is HUNG_UP),
        it[1],
    )
)


def _protobuf(kind: str) -> bytes:
    """A request whose tensor has its contents elsewhere, or whose output is asked for as classes."""
    request = service_pb2.ModelInferRequest(model_name="search")
    tensor = request.inputs.add(name="query", datatype="BYTES", shape=[1, 1])
    if kind == "wrong":
        tensor.contents.int_contents.append(1)
    elif kind == "region":
        tensor.parameters["shared_memory_region"].string_param = "x"
        tensor.parameters["shared_memory_byte_size"].int64_param = 5
    elif kind != "none":
        tensor.contents.bytes_contents.append(b"a")
    if kind == "both":
        request.raw_input_contents.append(b"\1\0\0\0a")
    if kind.startswith("class"):
        request.outputs.add(name="score").parameters["classification"].int64_param = int(kind.split()[1])
    return bytes(request.SerializeToString())


_WHOLE = grpc_infer(CALL).body
PROTOBUFS: Sequence[tuple[str, bytes, Expected]] = (
    *((f"protobuf with {kind}", _protobuf(kind), expected) for kind, expected in (
        ("typed", OK), ("wrong", BAD), ("both", BAD), ("none", BAD), ("region", UNKNOWN),
        ("class 3", OK), (f"class {2**62}", OK), ("class 0", BAD), ("class -3", BAD),
    )),
    ("empty protobuf", b"", UNKNOWN),  # the model of no name
    *(("garbage for a protobuf", b"\xff" * length, NOT_JSON) for length in (1, 10, 50)),
    ("nested groups", b"\x0b" * 1000, NOT_JSON),
    ("a length that lies", b"\x0a\xff\xff\xff\xff\x0f", NOT_JSON),
    ("unknown fields", _WHOLE + b"\xba\x06\x03abc", OK),
    ("protobuf twice", _WHOLE * 2, BAD),
    *(("raw contents more than inputs", grpc_infer(CALL, more).body, OK) for more in (1, 9)),
    ("raw contents fewer than inputs", grpc_infer(CALL, -1).body, BAD),
)  # fmt: skip
_protobufs = st.sampled_from(PROTOBUFS).map(lambda it: (it[0], Message(True, INFER, it[1]), it[2]))
_cut_protobufs = st.integers(1, len(_WHOLE) - 1).map(
    lambda size: (f"protobuf cut to {size} bytes", Message(True, INFER, _WHOLE[:size]), ANY)
)


@st.composite
def _flipped(draw: st.DrawFn) -> Sent:
    """A good request with a few bytes changed."""
    message = draw(st.sampled_from((grpc_infer(CALL), http_infer(CALL))))
    body = bytearray(message.body)
    places = st.tuples(st.integers(0, len(body) - 1), st.integers(0, 255))
    for place, value in draw(st.lists(places, min_size=1, max_size=4)):
        body[place] = value
    return f"flipped {bytes(body)!r}", replace(message, body=bytes(body)), ANY


_P = service_pb2
GRPC: Sequence[tuple[str, bytes, Expected]] = (
    ("ServerLive", b"", OK), ("ServerReady", b"", OK), ("ServerMetadata", b"", OK),
    ("RepositoryIndex", b"", RESTRICTED),
    ("ModelMetadata", _P.ModelMetadataRequest(name="search").SerializeToString(), OK),
    ("ModelConfig", _P.ModelConfigRequest(name="nope").SerializeToString(), UNKNOWN),
    ("ModelStatistics", _P.ModelStatisticsRequest(name="nope").SerializeToString(), BAD),
    ("ModelReady", _P.ModelReadyRequest(name="nope").SerializeToString(), OK),
    ("RepositoryModelLoad", _P.RepositoryModelLoadRequest(model_name="search").SerializeToString(), RESTRICTED),
    ("RepositoryModelUnload", _P.RepositoryModelUnloadRequest(model_name="search").SerializeToString(), RESTRICTED),
    *((name, b"", RESTRICTED) for name in (
        "SystemSharedMemoryStatus", "SystemSharedMemoryUnregister", "CudaSharedMemoryStatus",
        "CudaSharedMemoryUnregister", "TraceSetting", "LogSettings",
    )),
    ("SystemSharedMemoryRegister",
     _P.SystemSharedMemoryRegisterRequest(name="a", key="/malgil", byte_size=10).SerializeToString(), RESTRICTED),
    ("CudaSharedMemoryRegister",
     _P.CudaSharedMemoryRegisterRequest(name="a", raw_handle=b"x" * 64, byte_size=9).SerializeToString(), RESTRICTED),
    ("Nothing", b"", NO_METHOD), ("ModelInfer", b"\x08\x01", UNKNOWN), ("../ModelInfer", b"", NO_METHOD),
)  # fmt: skip
HTTP: Sequence[tuple[str, str, bytes, Expected]] = (
    ("GET", "/v2", b"", OK), ("GET", "/v2/health/ready", b"", OK), ("GET", "/v2/models/stats", b"", OK),
    ("POST", "/v2/repository/index", b"{}", RESTRICTED),
    ("POST", "/v2/models/search/generate", b'{"query":"a"}', OK),
    ("POST", "/v2/models/search/generate_stream", b'{"query":"a"}', OK),
    ("POST", "/v2/models/search/generate", b'{"query":" "}', BAD),
    ("POST", "/v2/models/search/generate", b"{", frozenset((UNREADABLE, "400"))),
    ("POST", PATH, b"", BAD),
    *((method, path, b"", NO_METHOD) for method, path in (
        ("GET", "/"), ("GET", "/v2/nothing"), ("GET", PATH), ("PUT", PATH), ("DELETE", "/v2/models/search"),
        ("POST", "/v2/models/search"), ("PATCH", "/v2"), ("OPTIONS", "/v2"), ("GET", "/metrics"),
        ("GET", "/v2/models/../../etc/passwd"),
    )),
    ("POST", "/v2/repository/models/search/unload", b"{}", RESTRICTED),
    ("POST", "/v2/repository/models/search/load", b'{"parameters":{"config":"{}"}}', RESTRICTED),
    ("GET", "/v2/systemsharedmemory/status", b"", RESTRICTED),
    ("POST", "/v2/systemsharedmemory/region/x/register", b'{"key":"/x","offset":0,"byte_size":9}', RESTRICTED),
    ("POST", "/v2/systemsharedmemory/unregister", b"", RESTRICTED),
    ("POST", "/v2/cudasharedmemory/region/x/register", b"{}", RESTRICTED),
    ("POST", "/v2/trace/setting", b'{"trace_level":["TIMESTAMPS"]}', RESTRICTED),
    ("POST", "/v2/logging", b'{"log_verbose_level":9}', RESTRICTED),
)  # fmt: skip
_grpc_endpoints = st.sampled_from(GRPC).map(lambda it: (f"gRPC {it[0]}", Message(True, SERVICE + it[0], it[1]), it[2]))
_http_endpoints = st.sampled_from(HTTP).map(
    lambda it: (f"{it[0]} {it[1]} {it[2]!r}", Message(False, it[1], it[2], it[0]), it[3])
)
messages: st.SearchStrategy[Sent] = st.one_of(
    _json_bodies, _json_bodies, _json_lengths, _json_tails, _any_json, _compressed, _raw, _protobufs, _cut_protobufs,
    _flipped(), _flipped(), _grpc_endpoints, _http_endpoints,
)  # fmt: skip
