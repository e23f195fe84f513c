"""The exception for each status and message of the server."""

from __future__ import annotations

import pytest
from malgil import BadRequest, DeadlineExceeded, Forbidden, MalgilError, Overloaded, ServerError, Unavailable
from malgil._errors import from_status, unreachable

from tests.client import fake_triton


@pytest.mark.parametrize(
    ("status", "kind", "text"),
    [
        (fake_triton.BLANK, BadRequest, "query: the text is blank"),
        (fake_triton.QUEUE_FULL, Overloaded, "Exceeds maximum queue size"),
        (("UNAVAILABLE", "in ensemble 'search', overloaded: 256 wait"), Overloaded, "overloaded: 256 wait"),
        (fake_triton.QUEUE_TIMEOUT, DeadlineExceeded, "Request timeout expired"),
        (fake_triton.NO_CATALOG, Unavailable, "no catalog is published"),
        (fake_triton.NO_MODEL, Unavailable, "Request for unknown model: 'search' is not found"),
        (fake_triton.DEAD_STUB, Unavailable, "Stub process 'scorer_0_0' is not healthy."),
        (("RESOURCE_EXHAUSTED", "rate limited"), Overloaded, "rate limited"),
        (("UNAUTHENTICATED", "no credentials"), Forbidden, "no credentials"),
        (("INTERNAL", "in ensemble 'search', oops"), ServerError, "oops"),
        (("UNKNOWN", ""), ServerError, "UNKNOWN"),
    ],
)
def test_each_failure_has_its_class_and_the_servers_sentence(
    status: tuple[str, str], kind: type[MalgilError], text: str
) -> None:
    error = from_status(*status)
    assert type(error) is kind
    assert str(error) == text


def test_only_requests_that_the_server_cannot_have_worked_on_are_retryable() -> None:
    assert from_status(*fake_triton.QUEUE_FULL).retryable
    assert unreachable("localhost:1", "Connection refused").retryable
    others = [
        fake_triton.BLANK,
        fake_triton.QUEUE_TIMEOUT,
        fake_triton.NO_CATALOG,
        fake_triton.DEAD_STUB,
        ("INTERNAL", "oops"),
    ]
    assert not any(from_status(*status).retryable for status in others)


def test_errors_are_also_pythons_builtin_exceptions() -> None:
    assert issubclass(BadRequest, ValueError)
    assert issubclass(DeadlineExceeded, TimeoutError)
    assert issubclass(Forbidden, PermissionError)
    for kind in (BadRequest, Overloaded, Unavailable, DeadlineExceeded, ServerError):
        assert issubclass(kind, MalgilError)


def test_the_error_for_a_missing_server_keeps_only_the_last_reason() -> None:
    reason = "failed to connect to all addresses; last error: UNKNOWN: ipv4:127.0.0.1:1: Connection refused"
    assert str(unreachable("127.0.0.1:1", reason)) == "cannot reach 127.0.0.1:1: Connection refused"
