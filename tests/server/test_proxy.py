"""The proxy: what it refuses before Triton sees it, with and without TLS, and what it lets through."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import malgil
import pytest

from server import proxy as server_proxy
from server.exposure import KEY_HEADER, Exposure
from server.launcher import Server
from server.ports import Ports, free_ports
from server.proxy import MAX_BYTES, Proxy, find_nginx
from server.triton import SetupError
from tests.server.conftest import KEY, Secure

pytestmark = pytest.mark.live
INFER = "/v2/models/search/infer"
GENERATE = "/v2/models/search/generate"


@pytest.fixture(params=["http", "https"])
def client(request: pytest.FixtureRequest) -> Iterator[httpx.Client]:
    """A client of the live server, or of the one with TLS, client certificates and keys."""
    if request.param == "http":
        server: Server = request.getfixturevalue("server")
        opened = httpx.Client(base_url=server.http_url, timeout=60)
    else:
        secure: Secure = request.getfixturevalue("secure")
        context = ssl.create_default_context(cafile=str(secure.authority.ca))
        context.load_cert_chain(secure.authority.client_cert, secure.authority.client_key)
        context.check_hostname = False
        headers = {KEY_HEADER: KEY}
        opened = httpx.Client(base_url=secure.server.http_url, verify=context, headers=headers, timeout=60)
    with opened:
        yield opened


def test_what_is_too_large_or_compressed_or_of_unknown_length_never_reaches_triton(client: httpx.Client) -> None:
    assert "JSON" in client.post(INFER, content=b"x" * MAX_BYTES).json()["error"]  # Triton's own answer
    answer = client.post(INFER, content=b"x" * (MAX_BYTES + 1))
    assert answer.status_code == 413
    assert answer.json() == {"error": f"the request is over {MAX_BYTES} bytes"}
    answer = client.post(INFER, content=iter([b"x"] * 3))  # in chunks
    assert (answer.status_code, answer.json()) == (411, {"error": "requests must say their Content-Length"})
    answer = client.post(INFER, content=b"", headers={"Content-Encoding": "gzip"})
    assert (answer.status_code, answer.json()) == (415, {"error": "compressed requests are not taken"})


def test_the_largest_batch_of_the_longest_texts_passes(client: httpx.Client) -> None:
    longest = "가" * 2730  # 8190 bytes, and twice that where JSON escapes it
    body = {"inputs": [{"name": "text", "shape": [64, 1], "datatype": "BYTES", "data": [longest] * 64}]}
    answer = client.post("/v2/models/tokenizer/infer", content=json.dumps(body))
    assert answer.status_code == 200
    assert len(answer.request.content) > 64 * 2 * 8190


@pytest.mark.parametrize(
    "path",
    [
        "/v2/models/encoder/infer",
        "/v2/models/scorer/infer",
        "/v2/models/scorer/versions/1/infer",
        "/v2/models/retriever/infer",
        "/v2/models/encoder/generate",
        "/v2//models/%65ncoder/infer",
        "/v2/models/search/../encoder/infer",
    ],
)
def test_a_tensor_of_impossible_shape_cannot_be_sent_to_encoder_or_scorer_over_http(
    client: httpx.Client, path: str
) -> None:
    body = {"inputs": [{"name": "input_ids", "shape": [1, 2**61], "datatype": "INT64", "data": []}]}
    url = client.base_url.copy_with(raw_path=path.encode())
    answer = client.send(httpx.Request("POST", url, headers=client.headers, content=json.dumps(body)))
    assert answer.status_code == 403
    assert "is not called from outside: call search, embed or unified" in answer.json()["error"]
    assert client.get("/v2/models/encoder/ready").status_code == 200


def test_triton_gets_the_path_that_was_judged_and_no_other_reading_of_it(client: httpx.Client) -> None:
    url = client.base_url.copy_with(raw_path=b"/v2/models/encoder/infer/../../search//%67enerate")
    answer = client.send(httpx.Request("POST", url, headers=client.headers, content='{"query": "a", "top_k": 1}'))
    assert answer.json()["model_name"] == "search"


def nested(levels: int) -> bytes:
    """A query in so many brackets."""
    data = b"[" * levels + b'"a"' + b"]" * levels
    return b'{"inputs":[{"name":"query","datatype":"BYTES","shape":[1,1],"data":' + data + b"}]}"


DEEPEST: dict[str, tuple[str, bytes]] = {
    "brackets around a query": (INFER, nested((MAX_BYTES - 100) // 2)),
    "brackets that stay open": (INFER, b"[" * MAX_BYTES),
    "objects around a query": (GENERATE, b'{"query":' + b'{"a":' * 349_000 + b"1" + b"}" * 349_001),
    "objects that stay open": (GENERATE, b'{"a":' * (MAX_BYTES // 5)),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", DEEPEST)
def test_json_of_whatever_depth_does_not_end_the_server(server: Server, kind: str) -> None:
    path, body = DEEPEST[kind]
    assert MAX_BYTES - 4_000 < len(body) <= MAX_BYTES
    answer = httpx.post(server.http_url + path, content=body, timeout=60)
    assert answer.status_code in {200, 400, 500}, answer.text[:200]
    with server.client() as client:
        assert client.search("송금", top_k=1)[0].name == "송금"


@pytest.fixture
def proxy(server: Server, tmp_path: Path) -> Iterator[Callable[[], Ports]]:
    """Starts another proxy before the live server, as one beyond loopback has it; its ports."""
    started: list[Proxy] = []
    inner = Ports(http=int(server.inner_http_url.rsplit(":", 1)[1]), grpc=server.ports.grpc)

    def start() -> Ports:
        ports = free_ports()
        with (tmp_path / "log").open("wb") as log:
            started.append(Proxy(Exposure("0.0.0.0"), ports, inner, tmp_path / "nginx", log))
            started[0].start()
        return ports

    yield start
    for one in started:
        one.stop()


def test_requests_beyond_those_whose_bodies_fit_in_memory_are_refused_at_once_as_an_overload(
    proxy: Callable[[], Ports], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_proxy, "MAX_REQUESTS", 4)
    url = httpx.URL(f"http://127.0.0.1:{proxy().http}")
    head = f"POST {INFER} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n".encode()
    with contextlib.ExitStack() as opened, malgil.SearchClient(str(url), retries=0) as client:
        assert client.search("송금")
        for _ in range(6):  # bodies that do not come; the first may find the search above still under way
            connection = opened.enter_context(socket.create_connection((url.host, url.port or 80)))
            connection.sendall(head)
        connection.recv(1)  # nginx has read the heads: it refuses the last
        with pytest.raises(malgil.Overloaded, match="4 requests are under way; try again later"):
            client.search("송금")
    with malgil.SearchClient(str(url)) as client:
        assert client.search("송금")


def test_without_nginx_the_server_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.prefix", str(tmp_path))
    monkeypatch.setattr("os.defpath", str(tmp_path))
    if Path("/usr/sbin/nginx").exists():
        pytest.skip("this system has an nginx")
    with pytest.raises(SetupError, match="the proxy needs nginx: install the package nginx"):
        find_nginx()
