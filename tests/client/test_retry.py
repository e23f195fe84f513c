"""Deadlines, the policy of retries, and URLs."""

from __future__ import annotations

from typing import Any

import pytest
from malgil import AsyncSearchClient, BadRequest, DeadlineExceeded, Overloaded, SearchClient, Unavailable
from malgil._retry import Backoff, Deadline
from malgil._transport import split_url

FULL = Overloaded("Exceeds maximum queue size")


def test_pauses_grow_are_random_and_stop_after_the_last_retry() -> None:
    backoff = Backoff(retries=8, first=0.1, longest=2.0)
    for attempt, ceiling in enumerate([0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0, 2.0]):
        pauses = {backoff.pause(attempt, FULL, left=60) for _ in range(200)}
        assert len(pauses) > 100
        known = [pause for pause in pauses if pause is not None]
        assert 0 <= min(known) < ceiling / 2 < max(known) <= ceiling
    assert backoff.pause(8, FULL, left=60) is None


def test_no_pause_exceeds_the_deadline() -> None:
    backoff = Backoff(retries=2, first=100, longest=100)
    assert {backoff.pause(0, FULL, left=0.001) for _ in range(20)} == {None}


@pytest.mark.parametrize("error", [BadRequest("no"), DeadlineExceeded("late"), Unavailable("no catalog")])
def test_a_failure_that_a_retry_would_not_fix_is_not_retried(error: Any) -> None:
    assert Backoff(retries=9).pause(0, error, left=60) is None


def test_a_deadline_never_asks_a_protocol_to_wait_zero_seconds() -> None:
    deadline = Deadline(1e-9)
    assert deadline.left() > 0
    assert str(Deadline(2.5).exceeded()) == "no answer within 2.5 s"


@pytest.mark.parametrize("client", [SearchClient, AsyncSearchClient])
def test_bad_settings_are_refused_when_the_client_is_made(client: Any) -> None:
    for timeout in (0, -1, float("inf"), float("nan")):
        with pytest.raises(ValueError, match=r"^timeout: "):
            client(timeout=timeout)
    with pytest.raises(TypeError, match=r"^timeout must be float"):
        client(timeout="5")
    with pytest.raises(ValueError, match=r"^retries: -1"):
        client(retries=-1)
    with pytest.raises(TypeError, match=r"^retries must be int"):
        client(retries=1.5)


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("localhost:8001", ("grpc", "localhost:8001", False)),
        ("grpc://search.internal:8001", ("grpc", "search.internal:8001", False)),
        ("grpcs://search.internal:8001", ("grpc", "search.internal:8001", True)),
        ("[::1]:8001", ("grpc", "[::1]:8001", False)),
        ("http://localhost:8000", ("http", "http://localhost:8000", False)),
        ("http://gate/triton/", ("http", "http://gate/triton", False)),
        ("https://gate/triton/", ("http", "https://gate/triton", True)),
    ],
)
def test_the_url_chooses_the_protocol(url: str, parts: tuple[str, str, bool]) -> None:
    assert split_url(url) == parts


@pytest.mark.parametrize(
    "url",
    [
        "ftp://localhost:21",
        "grpcs://localhost",
        "localhost",
        "grpc://h",
        "http://",
        "",
        ":8001",
        "h:p",
        "h:1/x",
        "a b:80",
        "http://a b",
        "http://user:secret@h:1",
        "http://h:1?x=y",
        "http://[::1",
        "h:99999",
    ],
)
@pytest.mark.parametrize("client", [SearchClient, AsyncSearchClient])
def test_a_bad_url_raises_a_value_error_that_shows_it(client: Any, url: str) -> None:
    with pytest.raises(ValueError, match=r"^url: ") as caught:
        client(url)
    assert repr(url) in str(caught.value)
