"""Requests carry the trace context of the caller."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from tests.client.blocking import open_client
from tests.client.fake_triton import SERVERS, Scenario

TRACER = TracerProvider().get_tracer("tests")


@pytest.fixture
def scenario() -> Scenario:
    return Scenario()


@pytest.fixture(params=[(protocol, mode) for protocol in SERVERS for mode in ("sync", "async")], ids="-".join)
def client(request: pytest.FixtureRequest, scenario: Scenario) -> Iterator[Any]:
    protocol, mode = request.param
    with SERVERS[protocol](scenario) as url, open_client(mode, url) as client:
        yield client


def test_an_active_span_is_the_parent_of_the_servers_spans(client: Any, scenario: Scenario) -> None:
    with TRACER.start_as_current_span("a keystroke") as span:
        client.search("돈")
        client.search_many(["송금", "환전"])  # in the client's threads or tasks
    context = span.get_span_context()
    expected = f"00-{trace.format_trace_id(context.trace_id)}-{trace.format_span_id(context.span_id)}"
    assert [headers["traceparent"][:-3] for headers in scenario.headers] == [expected] * 3  # flags last


def test_without_a_span_no_trace_context_is_sent(client: Any, scenario: Scenario) -> None:
    client.search("돈")
    assert "traceparent" not in scenario.headers[0]


def test_the_client_does_not_import_opentelemetry_by_itself() -> None:
    code = "import sys, malgil._access as a; assert a.trace_headers() == {}; assert 'opentelemetry' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
