"""A small OpenAI-compatible endpoint on a real socket, which answers or fails as a test says."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

STREAM = "text/event-stream; charset=utf-8"


@dataclass
class Request:
    """What the endpoint received."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]


class Handler(BaseHTTPRequestHandler):
    """One request; `answer` and `write` send what the test wants."""

    protocol_version = "HTTP/1.1"
    server: Server

    def do_POST(self) -> None:
        """Answer with the test's behaviour."""
        raw = self.rfile.read(int(self.headers["content-length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.requests.append(Request(self.path, headers, json.loads(raw)))
        with contextlib.suppress(OSError):  # a client that went away
            self.server.behave(self)
        self.close_connection = True

    def answer(self, status: int, content: bytes, kind: str = "application/json", **headers: str) -> None:
        """Send a whole response."""
        self.start(status, kind, **{"content-length": str(len(content)), **headers})
        self.write(content)

    def start(self, status: int = 200, kind: str = STREAM, **headers: str) -> None:
        """Send the head of a response; it ends where the connection does."""
        self.send_response(status)
        for name, value in {"content-type": kind, "connection": "close", **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def write(self, content: bytes) -> None:
        """Send bytes at once."""
        self.wfile.write(content)
        self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:
        """Stay silent."""


Behaviour = Callable[[Handler], None]


@dataclass
class Server(ThreadingHTTPServer):
    """The endpoint."""

    behave: Behaviour
    requests: list[Request] = field(default_factory=list)
    daemon_threads = True

    def __post_init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        """Its base address."""
        return f"http://127.0.0.1:{self.server_port}/v1"


@contextlib.contextmanager
def endpoint(behave: Behaviour) -> Iterator[Server]:
    """An endpoint for as long as the context lasts."""
    with Server(behave) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def event(text: str | None = None, finish: str | None = None, **delta: Any) -> bytes:
    """A chunk of a stream."""
    choice = {"index": 0, "delta": {**delta, **({} if text is None else {"content": text})}, "finish_reason": finish}
    return data({"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]})


def data(value: Any) -> bytes:
    """An event with a JSON value."""
    return f"data: {json.dumps(value, ensure_ascii=False)}\n\n".encode()


DONE = b"data: [DONE]\n\n"


def saying(text: str, size: int = 5) -> Behaviour:
    """Stream a text in parts."""

    def behave(handler: Handler) -> None:
        handler.start()
        handler.write(event("", role="assistant"))
        for start in range(0, len(text), size):
            handler.write(event(text[start : start + size]))
        handler.write(event(finish="stop") + DONE)

    return behave


def sending(*parts: bytes) -> Behaviour:
    """Send these parts of a stream, then close the connection."""

    def behave(handler: Handler) -> None:
        handler.start()
        for part in parts:
            handler.write(part)

    return behave


def failing(status: int, message: str = "no", **headers: str) -> Behaviour:
    """Answer with an error as OpenAI words it."""
    content = json.dumps({"error": {"message": message, "type": "error", "code": None}}).encode()
    return lambda handler: handler.answer(status, content, **headers)


def in_turn(behaviours: Sequence[Behaviour]) -> Behaviour:
    """Behave differently at each request, the last way for good."""
    left = list(behaviours)

    def behave(handler: Handler) -> None:
        (left.pop(0) if len(left) > 1 else left[0])(handler)

    return behave
