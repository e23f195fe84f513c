"""gRPC and HTTP servers with scripted answers, for faults that a real Triton does not show on demand.

Full queues, dead stubs, slow answers, restarts, wrong certificates, and the headers and requests that arrive. What a
real server can show is in test_live.py. Statuses and messages are those of Triton 2.51 (nvidia-pytriton 0.7.0),
ensemble prefix included.
"""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import grpc
import numpy as np
from tritonclient.grpc import service_pb2, service_pb2_grpc
from tritonclient.utils import np_to_triton_dtype

from tests.client.tensors import Tensors, from_raw, to_raw, two_documents, two_hits, two_suggestions

HTTP_STATUS = {"INVALID_ARGUMENT": 400, "NOT_FOUND": 404, "UNAVAILABLE": 503, "INTERNAL": 500}

QUEUE_FULL = ("UNAVAILABLE", "in ensemble 'search', [request id: <id_unknown>] Exceeds maximum queue size")
QUEUE_TIMEOUT = ("UNAVAILABLE", "in ensemble 'search', Request timeout expired")
DEAD_STUB = ("INTERNAL", "in ensemble 'search', Stub process 'scorer_0_0' is not healthy.")
NO_CATALOG = ("UNAVAILABLE", "in ensemble 'search', no catalog is published")
NO_EVENTS = ("NOT_FOUND", "Request for unknown model: 'events' is not found")
NO_MODEL = ("NOT_FOUND", "Request for unknown model: 'search' is not found")
BLANK = ("INVALID_ARGUMENT", "in ensemble 'search', query: the text is blank")


@dataclass
class Scenario:
    """The answers of a server, and a record of the requests to it."""

    failures: list[tuple[str, str]] = field(default_factory=list)
    """(status, message) of the first requests, one each."""
    delay: float = 0.0
    """Seconds before each answer."""
    fail_on: dict[str, tuple[str, str]] = field(default_factory=dict)
    """(status, message) by text, for every request with that text."""
    key: str | None = None
    """The key that requests must carry, if any."""
    requests: list[tuple[str, Tensors]] = field(default_factory=list)
    outputs: list[list[str]] = field(default_factory=list)
    """The names of the outputs that each request asked for."""
    documents_status: str = "ok"
    """What a unified search answers; without "ok" it has no documents."""
    headers: list[dict[str, str]] = field(default_factory=list)
    """The headers of each request, names in lower case."""
    events: list[dict[str, Any]] = field(default_factory=list)
    """The events that were written."""
    event_requests: list[int] = field(default_factory=list)
    """The number of events in each request to the model of events, refused ones included."""
    event_failures: list[tuple[str, str]] = field(default_factory=list)
    """(status, message) of the first requests to the model of events, one each."""
    event_delay: float = 0.0
    """Seconds before each answer of the model of events."""
    hold: threading.Event | None = None
    """What the model of events waits for before each answer."""
    bad_event: Callable[[dict[str, Any]], bool] = lambda event: False
    """Whether the model refuses the event, and so the whole request."""
    disk_full: bool = False
    most_at_once: int = 0
    abandoned: int = 0
    """gRPC calls that were cancelled, or reached their deadline, before their answer."""
    _now: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, model: str, inputs: Tensors) -> Tensors | tuple[str, str]:
        """Outputs, or (status, message)."""
        if model == "events":
            return self.write(inputs["event"])
        with self._lock:
            self.requests.append((model, inputs))
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)
            failure = self.failures.pop(0) if self.failures else None
        time.sleep(self.delay)
        with self._lock:
            self._now -= 1
        text = next(inputs[name] for name in ("query", "text", "typed") if name in inputs).item().decode()
        failure = failure or self.fail_on.get(text)
        if failure:
            return failure
        if model.startswith("embed"):
            return {"embedding": np.array([[len(text), 0, 1]], np.float32)}
        if "typed" in inputs:
            return two_suggestions(text)
        return two_hits(text) | (
            two_documents(text, self.documents_status) if model.startswith(("unified", "documents")) else {}
        )

    def write(self, tensor: Any) -> Tensors | tuple[str, str]:
        """What the model of events answers to the tensor [N, 1]."""
        time.sleep(self.event_delay)
        if self.hold:
            self.hold.wait(120)
        with self._lock:
            assert tensor.shape == (len(tensor), 1)
            self.event_requests.append(len(tensor))
            if self.event_failures:
                return self.event_failures.pop(0)
            events = [json.loads(event) for event in tensor[:, 0]]
            for position, event in enumerate(events):
                if self.bad_event(event):
                    return "INVALID_ARGUMENT", f"event {position}: not wanted here"
            self.events += [] if self.disk_full else events
            return {"accepted": np.full((len(events), 1), not self.disk_full, np.int32)}


@dataclass(frozen=True)
class Certificates:
    """PEM files of a server; `mutual`: it requires client certificates of the same authority."""

    ca: Path
    cert: Path
    key: Path
    mutual: bool = False


@contextmanager
def grpc_server(scenario: Scenario, port: int = 0, certificates: Certificates | None = None) -> Iterator[str]:
    """The address HOST:PORT, or grpcs://HOST:PORT, of a gRPC server."""

    class Servicer(service_pb2_grpc.GRPCInferenceServiceServicer):  # type: ignore[misc]
        def ModelInfer(self, request: Any, context: Any) -> Any:  # noqa: N802
            scenario.headers.append(dict(context.invocation_metadata()))
            header = "triton-grpc-protocol-malgil-key"
            if scenario.key and scenario.headers[-1].get(header) != scenario.key:
                restricted = f"This protocol is restricted, expecting header '{header}'"
                context.abort(grpc.StatusCode.UNAVAILABLE, restricted)
            inputs = {
                tensor.name: from_raw(raw, tensor.datatype, list(tensor.shape))
                for tensor, raw in zip(request.inputs, request.raw_input_contents, strict=True)
            }
            scenario.outputs.append([output.name for output in request.outputs])
            outputs = scenario.answer(request.model_name, inputs)
            scenario.abandoned += not context.is_active()
            if isinstance(outputs, tuple):
                context.abort(grpc.StatusCode[outputs[0]], outputs[1])
                raise AssertionError("abort raises")
            response = service_pb2.ModelInferResponse(model_name=request.model_name)
            for name in (output.name for output in request.outputs):
                array = outputs[name]
                response.outputs.add(name=name, datatype=np_to_triton_dtype(array.dtype), shape=array.shape)
                response.raw_output_contents.append(to_raw(array))
            return response

    server = grpc.server(ThreadPoolExecutor(64), options=[("grpc.so_reuseport", 0)])
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(Servicer(), server)
    address = f"127.0.0.1:{port}"
    if certificates is None:
        bound, scheme = server.add_insecure_port(address), ""
    else:
        ca, cert, key = (path.read_bytes() for path in (certificates.ca, certificates.cert, certificates.key))
        credentials = grpc.ssl_server_credentials(
            [(key, cert)], ca if certificates.mutual else None, certificates.mutual
        )
        bound, scheme = server.add_secure_port(address, credentials), "grpcs://"
    server.start()
    try:
        yield f"{scheme}127.0.0.1:{bound}"
    finally:
        server.stop(None).wait()


@contextmanager
def http_server(scenario: Scenario, port: int = 0, certificates: Certificates | None = None) -> Iterator[str]:
    """The address http://HOST:PORT, or https://HOST:PORT, of an HTTP server."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            scenario.headers.append({name.lower(): value for name, value in self.headers.items()})
            if scenario.key and scenario.headers[-1].get("malgil-key") != scenario.key:
                restricted = "This API is restricted, expecting header 'malgil-key'"
                self.reply(403, json.dumps({"error": restricted}).encode(), {})
                return
            split = int(self.headers["Inference-Header-Content-Length"])
            header = json.loads(body[:split])
            assert all(output["parameters"] == {"binary_data": True} for output in header["outputs"])
            inputs: Tensors = {}
            for tensor in header["inputs"]:
                end = split + tensor["parameters"]["binary_data_size"]
                inputs[tensor["name"]] = from_raw(body[split:end], tensor["datatype"], tensor["shape"])
                split = end
            assert split == len(body)
            scenario.outputs.append([output["name"] for output in header["outputs"]])
            outputs = scenario.answer(self.path.split("/")[3], inputs)
            if isinstance(outputs, tuple):
                self.reply(HTTP_STATUS[outputs[0]], json.dumps({"error": outputs[1]}).encode(), {})
                return
            described, blobs = [], []
            for name in (output["name"] for output in header["outputs"]):
                array = outputs[name]
                blobs.append(to_raw(array))
                described.append(
                    {
                        "name": name,
                        "datatype": np_to_triton_dtype(array.dtype),
                        "shape": list(array.shape),
                        "parameters": {"binary_data_size": len(blobs[-1])},
                    }
                )
            head = json.dumps({"model_name": "search", "outputs": described}).encode()
            self.reply(200, b"".join([head, *blobs]), {"Inference-Header-Content-Length": str(len(head))})

        def reply(self, status: int, body: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in (headers | {"Content-Length": str(len(body))}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        request_queue_size = 128

        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            self.connections: set[socket.socket] = set()

        def process_request(self, request: Any, client_address: Any) -> None:
            self.connections.add(request)
            super().process_request(request, client_address)

        def close_connections(self) -> None:
            for connection in self.connections:
                with suppress(OSError):  # closed by the client
                    connection.shutdown(socket.SHUT_RDWR)

        def handle_error(self, request: Any, client_address: Any) -> None:
            pass  # clients that disconnect before the answer

    server = Server(("127.0.0.1", port), Handler)
    scheme = "http"
    if certificates is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(certificates.ca))
        context.load_cert_chain(certificates.cert, certificates.key)
        context.verify_mode = ssl.CERT_REQUIRED if certificates.mutual else ssl.CERT_NONE
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        scheme = "https"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"{scheme}://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.close_connections()  # else clients could go on using them
        server.server_close()


SERVERS: dict[str, Callable[..., Any]] = {"grpc": grpc_server, "http": http_server}
