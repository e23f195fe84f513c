"""Which protocol a URL asks for. A transport only moves tensors; it knows no retries and no search."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol
from urllib.parse import urlsplit

from malgil._access import Tls, check_key, check_tls
from malgil._retry import Deadline
from malgil._tensors import Tensors


class Transport(Protocol):
    """One inference at a time, from any number of threads."""

    def infer(self, model: str, inputs: Tensors, outputs: Sequence[str], deadline: Deadline) -> Tensors:
        """These of the model's outputs; raises MalgilError."""
        ...

    def close(self) -> None:
        """Drop the connections."""
        ...


class AsyncTransport(Protocol):
    """The same within one event loop."""

    async def infer(self, model: str, inputs: Tensors, outputs: Sequence[str], deadline: Deadline) -> Tensors:
        """These of the model's outputs; raises MalgilError."""
        ...

    async def close(self) -> None:
        """Drop the connections."""
        ...


# The imports are inside: a health probe of one protocol need not load the library of the other.


def connect(url: str, tls: Tls | None, key: str | None) -> Transport:
    """The blocking transport for the URL; connects on first use. Raises ValueError for settings of no use."""
    protocol, target, secure = split_url(url)
    trusted, key = _check_secure(url, secure, tls), check_key(key)
    if protocol == "grpc":
        from malgil._grpc import GrpcTransport

        return GrpcTransport(target, trusted, key)
    from malgil._http import HttpTransport

    return HttpTransport(target, trusted, key)


def connect_async(url: str, tls: Tls | None, key: str | None) -> AsyncTransport:
    """The asyncio transport for the URL; connects on first use. Raises ValueError for settings of no use."""
    protocol, target, secure = split_url(url)
    trusted, key = _check_secure(url, secure, tls), check_key(key)
    if protocol == "grpc":
        from malgil._grpc import AsyncGrpcTransport

        return AsyncGrpcTransport(target, trusted, key)
    from malgil._http import AsyncHttpTransport

    return AsyncHttpTransport(target, trusted, key)


def split_url(url: str) -> tuple[Literal["grpc", "http"], str, bool]:
    """The protocol, what its library takes as address (HOST:PORT for gRPC, the URL itself for HTTP), and whether
    it is to be over TLS.
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
    """The settings of TLS, or None for a connection without."""
    if tls is not None and not secure:
        raise ValueError(f"url: {url!r} is without TLS, for which tls is given: write grpcs:// or https://")
    return check_tls(tls) if secure else None
