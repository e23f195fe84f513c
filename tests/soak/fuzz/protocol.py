"""What is no inference request: malformed JSON, HTTP and protobufs, and every other endpoint."""

from __future__ import annotations

import gzip
import random
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace

from tritonclient.grpc import service_pb2

from benchmarks.soak.fuzz_expect import (
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
from benchmarks.soak.fuzz_values import string
from benchmarks.soak.fuzz_wire import INFER, Call, Message, grpc_infer, http_infer, http_json, raw_http

Random = random.Random
Sent = tuple[str, Message, Expected]
SERVICE = INFER.rpartition("/")[0] + "/"
PATH = "/v2/models/search/infer"
GOOD = b'{"inputs":[{"name":"query","datatype":"BYTES","shape":[1,1],"data":["a"]}]}'
CALL = Call("search", (string("query", b"a"),), ("id",))
# Triton 2.51 reads nested `data` by recursion: 40,000 brackets, 80 kB, end the whole server with a stack overflow.
# Nothing here can refuse them before that; docs/security.md says what to put in front.
DEEPEST_DATA = 500


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
    (_put(b'["a"]', rb'["\u0000"]'), OK),
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


def jsons(rng: Random) -> Sent:
    """Headers of JSON that say nonsense."""
    if rng.random() < 0.2:
        length, expected = rng.choice(LENGTHS)
        return f"JSON's length {length[:9]!r}", http_json("search", GOOD, length=length), expected
    if rng.random() < 0.1:
        return "bytes after the JSON", http_json("search", GOOD, rng.randbytes(rng.randint(1, 99))), BAD
    json, expected = rng.choice(JSONS)
    return f"JSON {json[:90]!r}", http_json("search", json), expected


def compressed(rng: Random) -> Sent:
    """Bodies that are compressed, or say so.

    Triton 2.51 does not free what it has unpacked of a request that it cannot read, a megabyte for a kilobyte of gzip:
    only small bodies are in the mix, so that another leak still shows.
    """
    packed = gzip.compress(GOOD, mtime=0)
    some: Sequence[tuple[str, bytes, Expected]] = (
        ("gzip", packed, OK),
        ("deflate", zlib.compress(GOOD), OK),
        ("br", GOOD, UNSUPPORTED),
        ("gzip", b"", BAD),
        ("gzip", b"\x1f\x8bgarbage", BAD),
        ("gzip", GOOD, BAD),
        ("gzip", gzip.compress(b"{" * 9, mtime=0), NOT_JSON),
    )
    encoding, body, expected = rng.choice(some)
    what = f"{encoding} of {len(body)} bytes"
    return what, Message(False, PATH, body, headers=(("Content-Encoding", encoding),)), expected


def https(rng: Random) -> Sent:
    """HTTP that is none, or cut short."""
    length = ("Content-Length", str(len(GOOD)))
    chunked = ("Transfer-Encoding", "chunked")
    some: Sequence[tuple[Message, Expected]] = (
        (raw_http(PATH, GOOD, [length]), OK),
        (raw_http(PATH, b"%x\r\n%s\r\n0\r\n\r\n" % (len(GOOD), GOOD), [chunked]), OK),
        (raw_http(PATH, GOOD, [("Content-Length", "500")]), HUNG_UP),
        (raw_http(PATH, GOOD, [("Content-Length", "-5")]), HUNG_UP),
        (raw_http(PATH, GOOD, [("Content-Length", "9" * 20)]), HUNG_UP),
        (raw_http(PATH, b"zz\r\nabc\r\n", [chunked]), HUNG_UP),
        (raw_http(PATH, b"ffffffffffffffff\r\nabc\r\n", [chunked]), HUNG_UP),
        (raw_http(PATH, b"5\r\nab", [chunked]), HUNG_UP),
        (raw_http(PATH, b"", [("X", "a" * 100_000)]), HUNG_UP),
        (raw_http(PATH, b"", [("X", "a")] * 2000), HUNG_UP),
        (raw_http("/v2/models/" + "a" * 10_000, b"", [], "GET"), HUNG_UP),
        (raw_http("/v2/models/%zz%00", b"", [], "GET"), UNKNOWN),
        (raw_http(PATH, b"", [("X", "a\0b")]), HUNG_UP),
        (Message(False, PATH, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", raw=True), HUNG_UP),
        (Message(False, PATH, rng.randbytes(rng.randint(1, 200)), raw=True), HUNG_UP),
        (Message(False, PATH, b"", raw=True), HUNG_UP),
    )
    message, expected = rng.choice(some)
    return f"HTTP {message.body[:40]!r}…{message.body[-20:]!r}", replace(message, cut=expected is HUNG_UP), expected


def protobufs(rng: Random) -> Sent:
    """Messages of gRPC that are none, or contradict themselves."""
    request = service_pb2.ModelInferRequest(model_name="search")
    tensor = request.inputs.add(name="query", datatype="BYTES", shape=[1, 1])
    kind = rng.choice(("typed", "wrong", "both", "none", "region", "class", "absurd class", "wrong class"))
    if kind in ("typed", "both", "class", "absurd class", "wrong class"):
        tensor.contents.bytes_contents.append(b"a")
    if kind == "wrong":
        tensor.contents.int_contents.append(1)
    if kind == "both":
        request.raw_input_contents.append(b"\1\0\0\0a")
    if kind == "region":
        tensor.parameters["shared_memory_region"].string_param = "x"
        tensor.parameters["shared_memory_byte_size"].int64_param = 5
    if kind.endswith("class"):
        sizes = {"class": 3, "absurd class": 2**62, "wrong class": rng.choice((0, -3))}
        request.outputs.add(name="score").parameters["classification"].int64_param = sizes[kind]
    expected = {"wrong": BAD, "both": BAD, "none": BAD, "region": UNKNOWN, "wrong class": BAD}.get(kind, OK)
    whole = grpc_infer(CALL).body
    some: Sequence[tuple[str, bytes, Expected]] = (
        (f"protobuf with {kind}", request.SerializeToString(), expected),
        ("empty protobuf", b"", UNKNOWN),  # the model of no name
        ("garbage for a protobuf", b"\xff" * rng.randint(1, 50), NOT_JSON),
        ("nested groups", b"\x0b" * 1000, NOT_JSON),
        ("a length that lies", b"\x0a\xff\xff\xff\xff\x0f", NOT_JSON),
        ("cut protobuf", whole[: rng.randrange(1, len(whole))], ANY),
        ("unknown fields", whole + b"\xba\x06\x03abc", OK),
        ("protobuf twice", whole * 2, BAD),
        ("raw contents more than inputs", grpc_infer(CALL, rng.randint(1, 9)).body, OK),
        ("raw contents fewer than inputs", grpc_infer(CALL, -1).body, BAD),
    )
    what, body, expected = rng.choice(some)
    return what, Message(True, INFER, body), expected


def flips(rng: Random) -> Sent:
    """A good request with a few bytes changed at random."""
    message = grpc_infer(CALL) if rng.random() < 0.5 else http_infer(CALL)
    body = bytearray(message.body)
    for _ in range(rng.randint(1, 4)):
        body[rng.randrange(len(body))] = rng.randrange(256)
    return f"flipped {bytes(body)!r}", Message(message.grpc, message.path, bytes(body), headers=message.headers), ANY


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


def endpoints(rng: Random) -> Sent:
    """Everything that is served beside inference, and what is not."""
    if rng.random() < 0.5:
        name, body, expected = rng.choice(GRPC)
        return f"gRPC {name}", Message(True, SERVICE + name, body), expected
    method, path, body, expected = rng.choice(HTTP)
    return f"{method} {path} {body!r}", Message(False, path, body, method), expected


Make = Callable[[Random], Sent]
WEIGHTS: dict[Make, int] = {jsons: 50, compressed: 10, https: 25, protobufs: 40, flips: 30, endpoints: 40}
