"""What can go wrong, and how the two protocols say it.

MalgilError
 ├─ BadRequest        the server refused the arguments; also a ValueError. Never retried.
 ├─ Overloaded        a queue on the server is full; the same call is safe to repeat later.
 ├─ Unavailable       nobody to ask: no connection, server starting or broken, no catalogue published.
 ├─ DeadlineExceeded  no answer within `timeout`; also a TimeoutError. Never retried.
 └─ ServerError       anything else the server failed at.

Wrong types of arguments are a TypeError, a malformed `url` or `timeout` a ValueError: they never reach a server.
"""

from __future__ import annotations

import re


class MalgilError(Exception):
    """Base of all that a call can raise once its arguments have the right types.

    `str(error)` is the server's own sentence. `retryable` says whether the client itself repeats such a call:
    only where the server cannot have worked on it yet.
    """

    retryable: bool = False


class BadRequest(MalgilError, ValueError):
    """The server refused an argument; the sentence names the field, the value and the bound."""


class Overloaded(MalgilError):
    """A queue on the server is full. Back off, then repeat."""

    retryable = True


class Unavailable(MalgilError):
    """No server to answer: unreachable, still loading, broken, or without a published catalogue."""

    def __init__(self, message: str, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.retryable = retryable


class DeadlineExceeded(MalgilError, TimeoutError):
    """No answer in time, be it in the network, in the server's queue or between retries."""


class ServerError(MalgilError):
    """The server failed in a way that has no class of its own."""


# Triton puts these before a model's sentence, once for each ensemble it passed through.
_NOISE = re.compile(r"^(?:in ensemble '[^']*', |\[request id: [^\]]*\] )+")

# gRPC's words for a connection that was never made, so that the request cannot have been sent.
_NEVER_SENT = ("failed to connect", "errors resolving", "DNS resolution failed", "connections to all backends failing")


def from_status(code: str, message: str) -> MalgilError:
    """The exception for a status (the names of gRPC, as "UNAVAILABLE") and the text that came with it.

    Triton has one code, UNAVAILABLE, for a full queue, an expired queue timeout and a server that cannot
    answer: only its text tells them apart (as of 2.51).
    """
    message = _NOISE.sub("", message).strip() or code
    if code == "INVALID_ARGUMENT":
        return BadRequest(message)
    if code == "DEADLINE_EXCEEDED" or "Request timeout expired" in message:
        return DeadlineExceeded(message)
    if "Exceeds maximum queue size" in message:
        return Overloaded(message)
    # NOT_FOUND: the server does not hold the model (yet). A dead Python stub answers INTERNAL for ever, while
    # the server goes on calling itself ready.
    if code in {"UNAVAILABLE", "NOT_FOUND"} or message.startswith("Stub process"):
        return Unavailable(message)
    return ServerError(message)


def unreachable(target: str, reason: str) -> Unavailable:
    """The exception for a connection that could not be made; the request was not sent."""
    # The last clause is the operating system's ("Connection refused"); before it stand the library's own layers.
    return Unavailable(f"cannot reach {target}: {reason.rsplit(': ', 1)[-1].rstrip(']')}", retryable=True)


def never_sent(message: str) -> bool:
    """Whether a gRPC UNAVAILABLE text tells of a connection that was never made."""
    return message.startswith(_NEVER_SENT)
