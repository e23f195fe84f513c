"""The exceptions of the client, and the mapping of gRPC and HTTP statuses to them.

MalgilError
 ├─ BadRequest        the server refused the arguments; also a ValueError. Never retried.
 ├─ Forbidden         the key is missing or wrong; also a PermissionError. Never retried.
 ├─ Overloaded        a queue on the server is full; the same call is safe to repeat later.
 ├─ Unavailable       no connection, server starting or broken, no catalog published.
 ├─ DeadlineExceeded  no answer within `timeout`; also a TimeoutError. Never retried.
 └─ ServerError       any other failure of the server.

Arguments of a wrong type raise TypeError, a malformed `url` or `timeout` ValueError; then nothing is sent.
"""

from __future__ import annotations

import re


class MalgilError(Exception):
    """Base class of every failure of a call whose arguments have the right types.

    `str(error)` is the server's sentence. `retryable`: whether the client repeats the call by itself, which it does
    only where the server cannot have worked on it yet.
    """

    retryable: bool = False


class BadRequest(MalgilError, ValueError):  # noqa: N818 - the names follow the status codes
    """The server refused an argument; the sentence names the field, the value and the bound."""


class Forbidden(MalgilError, PermissionError):  # noqa: N818
    """The server requires a key, and the request had none or a wrong one."""


class Overloaded(MalgilError):  # noqa: N818
    """A queue on the server is full. Back off, then repeat."""

    retryable = True


class Unavailable(MalgilError):  # noqa: N818
    """The server is unreachable, not trusted, still loading, broken, or has no published catalog."""

    def __init__(self, message: str, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.retryable = retryable


class DeadlineExceeded(MalgilError, TimeoutError):  # noqa: N818
    """No answer within `timeout`: in the network, in the server's queue or between retries."""


class ServerError(MalgilError):
    """Any failure of the server that the other classes do not cover."""


# Prefixes that Triton adds to a model's message, one for each ensemble it passed through.
_NOISE = re.compile(r"^(?:in ensemble '[^']*', |\[request id: [^\]]*\] )+")


_RESTRICTED = re.compile("This (?:protocol|API) is restricted")


def from_status(code: str, message: str) -> MalgilError:
    """The exception for a gRPC status name, such as "UNAVAILABLE", and its message.

    Triton has one status, UNAVAILABLE, for a full queue, an expired queue timeout and a server that cannot
    answer: only the message tells them apart (as of 2.51). RESOURCE_EXHAUSTED is a proxy's rate limit.
    """
    message = _NOISE.sub("", message).strip() or code
    if code == "INVALID_ARGUMENT":
        return BadRequest(message)
    if _RESTRICTED.match(message):  # over HTTP 403, over gRPC UNAVAILABLE
        code, message = "PERMISSION_DENIED", "the server asks for a key: the request had none, or a wrong one"
    if code in {"PERMISSION_DENIED", "UNAUTHENTICATED"}:
        return Forbidden(message)
    if code == "DEADLINE_EXCEEDED" or "Request timeout expired" in message:
        return DeadlineExceeded(message)
    if code == "RESOURCE_EXHAUSTED" or message.startswith("overloaded") or "Exceeds maximum queue size" in message:
        return Overloaded(message)
    # NOT_FOUND: the server has not loaded the model (yet). Requests to a dead Python stub fail with INTERNAL for
    # ever, while the server still reports ready.
    if code in {"UNAVAILABLE", "NOT_FOUND"} or message.startswith("Stub process"):
        return Unavailable(message)
    return ServerError(message)


def unreachable(target: str, reason: str) -> Unavailable:
    """The exception for a failed connection; the request was not sent, so the call may be repeated."""
    # The last clause is the operating system's ("Connection refused"); those before it name library layers.
    return Unavailable(f"cannot reach {target}: {reason.rsplit(': ', 1)[-1].rstrip(']')}", retryable=True)


def no_tls(target: str, reason: str) -> Unavailable:
    """The exception for a failed TLS handshake; the request was not sent, so the call may be repeated."""
    if reason == "wrong version number":  # OpenSSL's message for an answer that is not TLS
        reason = "the server does not speak TLS"
    return Unavailable(f"no TLS connection to {target}: {reason.rstrip('.')}", retryable=True)
