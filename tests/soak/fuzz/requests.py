"""Bursts of requests: odd ones and good ones, sent at once so that they share batches."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hypothesis import strategies as st

from tests.soak.fuzz.answers import CALLS
from tests.soak.fuzz.protocol import messages
from tests.soak.fuzz.statuses import OK, Expected
from tests.soak.fuzz.tensors import cases
from tests.soak.wire import Message, grpc_infer, http_infer

FEWEST, MOST, GOOD = 5, 20, 2  # odd requests in a burst, at least and at most, and good ones
HEADERS = (("traceparent", "00-x"), ("x-request-id", "9" * 500), ("accept-language", "ko;q=x"), ("x-a", "; ,="))


@dataclass(frozen=True)
class Request:
    """One request, and how it may be answered."""

    what: str  # in short
    message: Message
    expected: Expected
    good: int | None = None  # the place in answers.CALLS of a request whose answer is known

    def __repr__(self) -> str:
        body = self.message.body
        shown = body if len(body) <= 300 else body[:300] + b"..."
        return f"{'gRPC' if self.message.grpc else 'HTTP'} {self.message.path}: {self.what}: {shown!r}"


Burst = tuple[Request, ...]


def good(place: int, over_grpc: bool) -> Request:
    """A request whose answer is known."""
    return Request(f"good request {place}", (grpc_infer if over_grpc else http_infer)(CALLS[place]), OK, place)


@st.composite
def odd(draw: st.DrawFn, width: int) -> Request:
    """A request that is odd in one place; `width` is that of the encoder's embeddings."""
    if draw(st.integers(0, 3)) == 3:
        return Request(*draw(messages))
    what, call, expected = draw(cases(width))
    message = (grpc_infer if draw(st.booleans()) else http_infer)(call)
    if draw(st.integers(0, 19)) == 7:
        message = replace(message, headers=(*message.headers, draw(st.sampled_from(HEADERS))))
    return Request(f"{call.model[:20]}: {what}", message, expected)


@st.composite
def bursts(draw: st.DrawFn, width: int) -> Burst:
    """Odd requests among good ones."""
    places = st.integers(0, len(CALLS) - 1)
    known = [good(draw(places), draw(st.booleans())) for _ in range(GOOD)]
    return (*known, *draw(st.lists(odd(width), min_size=FEWEST, max_size=MOST)))
