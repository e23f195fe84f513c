"""The transports, and the choice of one by URL. A transport sends and receives tensors; it does not retry."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol
from urllib.parse import urlsplit

from malgil._access import Tls, check_key, check_tls
from malgil._retry import Deadline
from malgil._tensors import Tensors


class Transport(Protocol):
    """Blocking transport of one protocol, for any number of threads."""

    def infer(self, model: str, inputs: Tensors, outputs: Sequence[str], deadline: Deadline) -> Tensors:
        """The requested outputs of `model`; raises MalgilError."""
        ...

    def close(self) -> None:
        """Close the connections."""
        ...


class AsyncTransport(Protocol):
    """Asyncio transport of one protocol, for one event loop."""

    async def infer(self, model: str, inputs: Tensors, outputs: Sequence[str], deadline: Deadline) -> Tensors:
        """The requested outputs of `model`; raises MalgilError."""
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...


# Imports inside the functions: a health probe over one protocol need not load the library of the other.


def connect(url: str, tls: Tls | None, key: str | None) -> Transport:
    """The blocking transport for the URL; connects on first use. Raises ValueError for bad settings."""
    protocol, target, secure = split_url(url)
    trusted, key = _check_secure(url, secure, tls), check_key(key)
    if protocol == "grpc":
        from malgil._grpc import GrpcTransport

        return GrpcTransport(target, trusted, key)
    from malgil._http import HttpTransport

    return HttpTransport(target, trusted, key)


def connect_events(url: str, tls: Tls | None, key: str | None) -> Transport:
    """The blocking transport for events, which needs no thread but that of its caller."""
    protocol, target, secure = split_url(url)
    if protocol == "grpc":
        from malgil._grpc import GrpcEventsTransport

        return GrpcEventsTransport(target, _check_secure(url, secure, tls), check_key(key))
    return connect(url, tls, key)


def connect_async(url: str, tls: Tls | None, key: str | None) -> AsyncTransport:
    """The asyncio transport for the URL; connects on first use. Raises ValueError for bad settings."""
    protocol, target, secure = split_url(url)
    trusted, key = _check_secure(url, secure, tls), check_key(key)
    if protocol == "grpc":
        from malgil._grpc import AsyncGrpcTransport

        return AsyncGrpcTransport(target, trusted, key)
    from malgil._http import AsyncHttpTransport

    return AsyncHttpTransport(target, trusted, key)


def split_url(url: str) -> tuple[Literal["grpc", "http"], str, bool]:
    """The protocol of the URL, the address for its library, and whether it uses TLS.

    The address is HOST:PORT for gRPC and the URL for HTTP. Raises ValueError for any other URL.
    """
    if not isinstance(url, str):
        raise TypeError(f"url must be str, not {type(url).__name__}")
    try:
        parts = urlsplit(url if "://" in url else f"grpc://{url}")
        host, port = parts.hostname, parts.port
    except ValueError as error:  # a port that is no number, an IPv6 address without its bracket
        raise ValueError(f"url: {url!r} is malformed: {error}") from None
    plain = host and not (parts.username or parts.query or parts.fragment or any(map(str.isspace, url)))
    if plain and parts.scheme in {"http", "https"}:
        return "http", url.rstrip("/"), parts.scheme == "https"
    if plain and parts.scheme in {"grpc", "grpcs"} and port and not parts.path.strip("/"):
        return "grpc", parts.netloc, parts.scheme == "grpcs"
    raise ValueError(f"url: {url!r} is none of HOST:PORT, grpc[s]://HOST:PORT and http[s]://HOST:PORT")


def _check_secure(url: str, secure: bool, tls: Tls | None) -> Tls | None:
    """The TLS settings, or None for a connection without TLS."""
    if tls is not None and not secure:
        raise ValueError(f"tls: given, but url {url!r} is without TLS: write grpcs:// or https://")
    return check_tls(tls) if secure else None
