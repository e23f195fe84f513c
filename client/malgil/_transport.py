"""Which protocol a URL asks for. A transport only moves tensors; it knows no retries and no search."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol
from urllib.parse import urlsplit

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


def connect(url: str) -> Transport:
    """The blocking transport for the URL; connects on first use. Raises ValueError for a URL of no use."""
    protocol, target = split_url(url)
    if protocol == "grpc":
        from malgil._grpc import GrpcTransport

        return GrpcTransport(target)
    from malgil._http import HttpTransport

    return HttpTransport(target)


def connect_async(url: str) -> AsyncTransport:
    """The asyncio transport for the URL; connects on first use. Raises ValueError for a URL of no use."""
    protocol, target = split_url(url)
    if protocol == "grpc":
        from malgil._grpc import AsyncGrpcTransport

        return AsyncGrpcTransport(target)
    from malgil._http import AsyncHttpTransport

    return AsyncHttpTransport(target)


def split_url(url: str) -> tuple[Literal["grpc", "http"], str]:
    """The protocol, and what its library takes as address: HOST:PORT for gRPC, the URL itself for HTTP."""
    if not isinstance(url, str):
        raise TypeError(f"url must be str, not {type(url).__name__}")
    try:
        parts = urlsplit(url if "://" in url else f"grpc://{url}")
        host, port = parts.hostname, parts.port
    except ValueError as error:  # a port that is no number, an IPv6 address without its bracket
        raise ValueError(f"url: {url!r} is malformed: {error}") from None
    plain = host and not (parts.username or parts.query or parts.fragment or any(map(str.isspace, url)))
    if plain and parts.scheme == "http":
        return "http", url.rstrip("/")
    if plain and parts.scheme == "grpc" and port and not parts.path.strip("/"):
        return "grpc", parts.netloc
    raise ValueError(f"url: {url!r} is none of HOST:PORT, grpc://HOST:PORT and http://HOST:PORT")
