"""An OpenTelemetry collector: takes what comes by OTLP over HTTP, as JSON, and keeps the spans."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Span:
    trace: str
    parent: str
    id: str
    name: str
    service: str


class Collector:
    """Use as a context manager; `url` is where it listens."""

    def __init__(self) -> None:
        self._spans: list[Span] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                assert self.path == "/v1/traces"
                collector._spans.extend(read(body))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Collector:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def trace(self, trace: str, spans: int, seconds: float = 15) -> list[Span]:
        """The spans of the trace, once there are so many; those there are after so many seconds."""
        deadline = time.monotonic() + seconds
        while True:
            found = [span for span in self._spans if span.trace == trace]
            if len(found) >= spans or time.monotonic() > deadline:
                return found
            time.sleep(0.05)

    def traces(self) -> set[str]:
        """All traces that came."""
        return {span.trace for span in self._spans}


def read(body: Any) -> list[Span]:
    """The spans of one export."""
    found = []
    for resource in body["resourceSpans"]:
        attributes = {one["key"]: one["value"] for one in resource["resource"]["attributes"]}
        service = attributes["service.name"]["stringValue"]
        for scope in resource["scopeSpans"]:
            for span in scope["spans"]:
                found.append(Span(span["traceId"], span.get("parentSpanId", ""), span["spanId"], span["name"], service))
    return found
