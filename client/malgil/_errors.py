"""What can go wrong, and how the two protocols say it.

MalgilError
 ├─ BadRequest        the server refused the arguments; also a ValueError. Never retried.
 ├─ Forbidden         the key is missing or wrong; also a PermissionError. Never retried.
 ├─ Overloaded        a queue on the server is full; the same call is safe to repeat later.
 ├─ Unavailable       nobody to ask: no connection, server starting or broken, no catalogue published.
 ├─ DeadlineExceeded  no answer within `timeout`; also a TimeoutError. Never retried.
 └─ ServerError       anything else the server failed at.

Arguments of a wrong type are a TypeError, a malformed `url` or `timeout` a ValueError: no server is asked.
"""

from __future__ import annotations

import re


class MalgilError(Exception):
    """Base of all that a call can raise once its arguments have the right types.

    `str(error)` is the server's own sentence. `retryable` says whether the client itself repeats such a call:
    only where the server cannot have worked on it yet.
    """

    retryable: bool = False


class BadRequest(MalgilError, ValueError):  # noqa: N818 - the names follow the status codes
    """The server refused an argument; the sentence names the field, the value and the bound."""


class Forbidden(MalgilError, PermissionError):  # noqa: N818
    """The server asks for a key, and none, or another, was sent."""


class Overloaded(MalgilError):  # noqa: N818
    """A queue on the server is full. Back off, then repeat."""

    retryable = True


class Unavailable(MalgilError):  # noqa: N818
    """No server to answer: unreachable, not to be trusted, still loading, broken, or without a published catalogue."""

    def __init__(self, message: str, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.retryable = retryable


class DeadlineExceeded(MalgilError, TimeoutError):  # noqa: N818
    """No answer in time, be it in the network, in the server's queue or between retries."""


class ServerError(MalgilError):
    """The server failed in a way that has no class of its own."""


# Triton puts these before a model's sentence, once for each ensemble it passed through.
_NOISE = re.compile(r"^(?:in ensemble '[^']*', |\[request id: [^\]]*\] )+")


_RESTRICTED = re.compile("This (?:protocol|API) is restricted")


def from_status(code: str, message: str) -> MalgilError:
    """The exception for a status (the names of gRPC, as "UNAVAILABLE") and the text that came with it.

    Triton has one code, UNAVAILABLE, for a full queue, an expired queue timeout and a server that cannot
    answer: only its text tells them apart (as of 2.51). RESOURCE_EXHAUSTED is a proxy's rate limit.
    """
    message = _NOISE.sub("", message).strip() or code
    if code == "INVALID_ARGUMENT":
        return BadRequest(message)
    if _RESTRICTED.match(message):  # over HTTP 403, over gRPC UNAVAILABLE
        code, message = "PERMISSION_DENIED", "the server asks for a key: none was sent, or not the right one"
    if code in {"PERMISSION_DENIED", "UNAUTHENTICATED"}:
        return Forbidden(message)
    if code == "DEADLINE_EXCEEDED" or "Request timeout expired" in message:
        return DeadlineExceeded(message)
    if code == "RESOURCE_EXHAUSTED" or message.startswith("overloaded") or "Exceeds maximum queue size" in message:
        return Overloaded(message)
    # NOT_FOUND: the server does not hold the model (yet). A dead Python stub answers INTERNAL for ever, while
    # the server goes on calling itself ready.
    if code in {"UNAVAILABLE", "NOT_FOUND"} or message.startswith("Stub process"):
        return Unavailable(message)
    return ServerError(message)


def unreachable(target: str, reason: str) -> Unavailable:
    """The exception for a connection that could not be made; the request was not sent."""
    # The last clause is the operating system's ("Connection refused"), after those of the library's layers.
    return Unavailable(f"cannot reach {target}: {reason.rsplit(': ', 1)[-1].rstrip(']')}", retryable=True)


def no_tls(target: str, reason: str) -> Unavailable:
    """The exception for a TLS handshake that failed; the request was not sent."""
    if reason == "wrong version number":  # OpenSSL's verdict on an answer that is not TLS at all
        reason = "the server does not speak TLS"
    return Unavailable(f"no TLS connection to {target}: {reason.rstrip('.')}", retryable=True)
