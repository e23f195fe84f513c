"""Traces of the live server, as a collector receives them."""

from __future__ import annotations

import time

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from server.tracing import trace_flags
from server.triton import SetupError
from tests.server.conftest import Secure

TRACER = TracerProvider().get_tracer("tests")


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_a_search_is_one_trace_with_a_span_for_each_step_under_the_callers(secure: Secure, protocol: str) -> None:
    with secure.client(protocol) as client, TRACER.start_as_current_span("a keystroke") as span:
        client.search("돈 보내기")
    context = span.get_span_context()
    spans = secure.collector.trace(trace.format_trace_id(context.trace_id), 8)
    by_id = {one.id: one for one in spans}
    assert {one.service for one in spans} == {"malgil"}

    (request,) = [one for one in spans if one.parent == trace.format_span_id(context.span_id)]
    (search,) = [one for one in spans if one.name == "search"]
    assert search.parent == request.id
    for step in ("tokenizer", "encoder", "scorer"):
        (one,) = [one for one in spans if one.name == step]
        assert by_id[one.parent] == search
        assert [child.name for child in spans if child.parent == one.id] == ["compute"]
    assert len(spans) == 8


def test_searches_without_a_trace_context_are_sampled(secure: Secure) -> None:
    before = secure.collector.traces()
    with secure.client("grpc") as client:
        client.search_many(["송금"] * 20)
    time.sleep(7)  # Triton sends every five seconds
    assert secure.collector.traces() == before


def test_triton_gets_the_endpoint_and_rate_that_were_asked_for() -> None:
    flags = trace_flags("http://collector:4318", 7)
    assert "--trace-config=opentelemetry,url=http://collector:4318/v1/traces" in flags
    assert "--trace-config=rate=7" in flags
    assert "--trace-config=opentelemetry,url=https://c/otlp" in trace_flags("https://c/otlp", 1)


@pytest.mark.parametrize(
    "url", ["collector:4318", "grpc://collector:4317", "http://", "http://c:port", "http://c/,x=y"]
)
def test_an_endpoint_of_no_use_is_refused_in_a_sentence(url: str) -> None:
    with pytest.raises(SetupError, match=r"^--trace-endpoint .* is no http://HOST:PORT"):
        trace_flags(url, 1)
    with pytest.raises(SetupError, match="--trace-rate 0 is below 1"):
        trace_flags("http://collector:4318", 0)
