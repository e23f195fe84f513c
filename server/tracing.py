"""OpenTelemetry traces, by Triton's own tracing: one span for a request, and one for each step that it goes through."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import click

from server.triton import SetupError

RATE = 100


def options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that `from_options` takes to a click command."""
    rate = click.option(
        "--trace-rate",
        type=int,
        metavar="N",
        help=f"Trace one request of N, and every one that brings a trace context.  [default: {RATE}]",
    )
    endpoint = click.option(
        "--trace-endpoint",
        metavar="URL",
        help="Send OpenTelemetry traces there by OTLP over HTTP, as http://localhost:4318.  [default: none are made]",
    )
    return endpoint(rate(command))


def from_options(trace_endpoint: str | None = None, trace_rate: int | None = None) -> list[str]:
    """Triton's flags for the traces that the command line's options ask for.

    Raises:
        SetupError: the options are of no use.
    """
    if trace_endpoint is None:
        if trace_rate is not None:
            raise SetupError("--trace-rate is of no use without --trace-endpoint")
        return []
    return trace_flags(trace_endpoint, RATE if trace_rate is None else trace_rate)


def trace_flags(endpoint: str, rate: int) -> list[str]:
    """Triton's flags that trace one request of `rate` to the collector at `endpoint`.

    Raises:
        SetupError: either is of no use.
    """
    try:
        parts = urlsplit(endpoint)
        plain = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0 and "," not in endpoint
    except ValueError:  # a port that is no number
        plain = False
    if not plain:
        raise SetupError(f"--trace-endpoint {endpoint} is no http://HOST:PORT[/PATH] of an OTLP collector")
    if rate < 1:
        raise SetupError(f"--trace-rate {rate} is below 1")
    # A collector's address is commonly given without the path that OTLP has for traces.
    url = endpoint if parts.path.strip("/") else f"{endpoint.rstrip('/')}/v1/traces"
    settings = [
        "mode=opentelemetry",
        "level=TIMESTAMPS",
        f"rate={rate}",
        f"opentelemetry,url={url}",
        "opentelemetry,resource=service.name=malgil",
    ]
    return [f"--trace-config={setting}" for setting in settings]
