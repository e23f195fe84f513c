"""The proxy before gRPC, under TLS and beyond loopback: what it passes on, and what Triton never sees."""

from __future__ import annotations

import contextlib
import gzip
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import malgil
import pytest
from malgil._access import GRPC_KEY
from tritonclient.grpc import service_pb2

from server import proxy as server_proxy
from server.exposure import Exposure
from server.launcher import Server
from server.ports import Ports, free_ports
from server.proxy import MAX_BYTES, Proxy
from tests.client.certificates import SERVER_NAME
from tests.server.conftest import KEY, Secure
from tests.soak.wire import INFER, Call, Tensor, grpc_infer, ids, string

pytestmark = pytest.mark.live
CODES = grpc.StatusCode
SEARCH = grpc_infer(Call("search", (string("query", "송금".encode()),))).body
ENCODE = grpc_infer(Call("encoder", (ids([[0, 5, 2]]),))).body
SCORE = grpc_infer(Call("scorer", (string("query", b"a"), Tensor("embedding", "FP32", (1, 2**62), b"")))).body


@pytest.fixture
def start(server: Server, tmp_path: Path) -> Iterator[Callable[..., Ports]]:
    """Starts a proxy before the live server, as one beyond loopback has it; its ports."""
    started: list[Proxy] = []
    inner = Ports(http=int(server.inner_http_url.rsplit(":", 1)[1]), grpc=server.ports.grpc)

    def starts(before: Ports = inner) -> Ports:
        ports = free_ports()
        with (tmp_path / "log").open("wb") as log:
            started.append(Proxy(Exposure("0.0.0.0"), ports, before, tmp_path / "nginx", log))
            started[0].start()
        return ports

    yield starts
    for one in started:
        one.stop()


@pytest.fixture(params=["grpc", "grpcs"])
def channel(request: pytest.FixtureRequest) -> Iterator[grpc.Channel]:
    """A channel to a proxy without TLS, or to the server with TLS and client certificates."""
    options = [("grpc.max_send_message_length", -1)]
    if request.param == "grpc":
        ports: Ports = request.getfixturevalue("start")()
        opened = grpc.insecure_channel(f"127.0.0.1:{ports.grpc}", options)
    else:
        secure: Secure = request.getfixturevalue("secure")
        files = secure.authority
        credentials = grpc.ssl_channel_credentials(
            files.ca.read_bytes(), files.client_key.read_bytes(), files.client_cert.read_bytes()
        )
        target = secure.server.grpc_url.removeprefix("grpcs://")
        options += [("grpc.ssl_target_name_override", SERVER_NAME)]  # type: ignore[list-item]
        opened = grpc.secure_channel(target, credentials, options)
    with opened:
        yield opened


def send(channel: grpc.Channel, body: bytes, path: str = INFER, **settings: Any) -> tuple[grpc.StatusCode, str, bytes]:
    """Status, message and answer of one call."""
    metadata = [(GRPC_KEY, KEY), *settings.pop("metadata", [])]
    try:
        answer: bytes = channel.unary_unary(path)(body, timeout=30, metadata=metadata, **settings)
    except grpc.RpcError as error:
        return error.code(), error.details(), b""
    return CODES.OK, "", answer


def hits(answer: bytes) -> str:
    return str(service_pb2.ModelInferResponse.FromString(answer).model_name)


NAMES = {
    "encoder": ENCODE,
    "scorer": SCORE,
    "retriever": SCORE.replace(b"\x06scorer", b"\x09retriever"),
    "a second name, which counts": SEARCH + b"\x0a\x07encoder",
    "its length in two bytes": SEARCH + b"\x0a\x87\x00encoder",
    "its length in five": SEARCH + b"\x0a\x86\x80\x80\x80\x00scorer",
    "its tag in two": SEARCH + b"\x8a\x00\x06scorer",
    "its tag in five, of which the last overflows": SEARCH + b"\x8a\x80\x80\x80\x10\x87\x80\x00encoder",
}


@pytest.mark.parametrize("kind", NAMES)
def test_no_message_reaches_encoder_or_scorer_however_it_names_them(channel: grpc.Channel, kind: str) -> None:
    code, message, _ = send(channel, NAMES[kind])
    assert (code, message) == (
        CODES.PERMISSION_DENIED,
        "encoder, scorer and retriever are not called from outside: call search, embed or unified",
    )


@pytest.mark.parametrize("kind", [kind for kind in NAMES if kind not in ("encoder", "scorer", "retriever")])
def test_triton_would_have_taken_these_names(server: Server, kind: str) -> None:
    with grpc.insecure_channel(server.grpc_url) as direct:
        _, message, _ = send(direct, NAMES[kind])
    assert "for model 'encoder'" in message or "for model 'scorer'" in message or "'scorer'" in message


TEXTS = (
    "encoder",
    "scorer",
    "my encoder",
    "\nencoder",
    "엇 scorer",
    "\x07encoder",
    "\x06scorer",
    "my retriever",
    "송금" * 1000,
)


@pytest.mark.parametrize("text", TEXTS)
def test_people_may_search_for_whatever_they_like(channel: grpc.Channel, text: str) -> None:
    raw = Call("search", (string("query", text.encode()),))
    code, message, answer = send(channel, grpc_infer(raw).body)
    assert code == CODES.OK, message
    assert hits(answer) == "search"
    typed = service_pb2.ModelInferRequest(model_name="search")
    typed.inputs.add(name="query", datatype="BYTES", shape=[1, 1]).contents.bytes_contents.append(text.encode())
    code, message, answer = send(channel, typed.SerializeToString())
    assert code == CODES.OK, message


@pytest.mark.parametrize("text", TEXTS)
def test_people_may_type_whatever_they_like_into_suggestions(channel: grpc.Channel, text: str) -> None:
    code, message, answer = send(channel, grpc_infer(Call("suggest", (string("typed", text.encode()),))).body)
    assert code == CODES.OK, message
    assert hits(answer) == "suggest"


def test_what_is_too_large_never_reaches_triton_and_the_largest_batch_does(channel: grpc.Channel) -> None:
    code, message, _ = send(channel, b"\0" * (MAX_BYTES + 1))
    assert (code, message) == (CODES.INVALID_ARGUMENT, f"the request is over {MAX_BYTES} bytes")
    code, message, _ = send(channel, b"\0" * (MAX_BYTES - 5))  # five stand before each message
    assert code not in {CODES.OK, CODES.PERMISSION_DENIED, CODES.UNAVAILABLE}, message  # Triton's own answer
    longest = grpc_infer(Call("tokenizer", (string("text", *["가".encode() * 2730] * 64),))).body
    code, message, _ = send(channel, longest)
    assert code == CODES.OK, message


def test_nothing_compressed_reaches_triton(channel: grpc.Channel) -> None:
    refused = (CODES.UNIMPLEMENTED, "compressed requests are not taken", b"")
    assert send(channel, SEARCH, compression=grpc.Compression.Gzip) == refused


def test_a_message_that_says_twice_how_it_is_packed_is_not_unpacked(secure: Secure) -> None:
    # Over HTTP/1.1, which nginx passes on as well under TLS: gRPC's clients send no header twice.
    context = ssl.create_default_context(cafile=str(secure.authority.ca))
    context.load_cert_chain(secure.authority.client_cert, secure.authority.client_key)
    context.check_hostname = False
    url = secure.server.grpc_url.replace("grpcs:", "https:") + INFER
    headers = [("content-type", "application/grpc"), ("te", "trailers"), (GRPC_KEY, KEY), ("grpc-encoding", "identity")]
    packed = gzip.compress(ENCODE)
    with httpx.Client(verify=context) as client:
        answer = client.post(url, content=b"\0" + len(SEARCH).to_bytes(4, "big") + SEARCH, headers=headers)
        assert "송금".encode() in answer.content
        headers.append(("grpc-encoding", "gzip"))
        with pytest.raises(httpx.RemoteProtocolError):  # Triton is not told how, and hangs up
            client.post(url, content=b"\1" + len(packed).to_bytes(4, "big") + packed, headers=headers)


def test_streams_which_could_carry_any_model_are_refused(channel: grpc.Channel) -> None:
    calls = channel.stream_stream(INFER.replace("ModelInfer", "ModelStreamInfer"))
    with pytest.raises(grpc.RpcError) as refused:
        list(calls(iter([ENCODE]), timeout=30, metadata=[(GRPC_KEY, KEY)]))
    assert (refused.value.code(), refused.value.details()) == (
        CODES.UNIMPLEMENTED,
        "streams are not taken: call ModelInfer",
    )


@pytest.mark.parametrize("part", [b"\x8a", b"\x87\x80", b"\x0a\x87\x80\x80\x80\x80\x80\x80", b"\x0a\x07encode"])
def test_no_message_takes_long_to_look_through(start: Callable[..., Ports], part: bytes) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{start().grpc}", [("grpc.max_send_message_length", -1)]) as channel:
        begun = time.monotonic()
        code, message, _ = send(channel, part * (MAX_BYTES // len(part) - 1))
        assert code not in {CODES.OK, CODES.PERMISSION_DENIED, CODES.UNAVAILABLE}, message
        assert time.monotonic() - begun < 5


def test_requests_beyond_those_whose_bodies_fit_in_memory_are_refused_at_once_as_an_overload(
    start: Callable[..., Ports], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_proxy, "MAX_REQUESTS", 1)
    target = f"127.0.0.1:{start().grpc}"
    ends: set[tuple[grpc.StatusCode, str]] = set()

    def search() -> None:
        with grpc.insecure_channel(target, [("grpc.use_local_subchannel_pool", 1)]) as channel:
            ends.update(send(channel, SEARCH)[:2] for _ in range(20))

    callers = [threading.Thread(target=search) for _ in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert ends == {(CODES.OK, ""), (CODES.UNAVAILABLE, "overloaded: 1 requests are under way; try again later")}
    # which is malgil.Overloaded: tests/client/test_errors.py


def test_a_triton_that_is_away_is_reported_as_such(start: Callable[..., Ports]) -> None:
    url = f"127.0.0.1:{start(free_ports()).grpc}"
    with (
        malgil.SearchClient(url, retries=0) as client,
        pytest.raises(malgil.Unavailable, match="Triton does not answer the proxy"),
    ):
        client.search("송금")


def test_nothing_that_people_type_is_written_to_a_disk(start: Callable[..., Ports], tmp_path: Path) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{start().grpc}", [("grpc.max_send_message_length", -1)]) as channel:
        for size in (100, 2**20, MAX_BYTES - 5, MAX_BYTES + 2**15, MAX_BYTES + 2**17):
            with contextlib.suppress(grpc.RpcError):
                send(channel, b"\0" * size)
    assert "temporary file" not in (tmp_path / "log").read_text()
