"""TLS settings, the server's key, and the trace headers of a request."""

from __future__ import annotations

import os
import ssl
import sys
from dataclasses import dataclass, fields

# The headers that carry the key. Triton requires the prefix of the one for gRPC.
HTTP_KEY = "malgil-key"
GRPC_KEY = "triton-grpc-protocol-malgil-key"


@dataclass(frozen=True)
class Tls:
    """TLS settings for grpcs:// and https:// URLs: PEM files, read when a client is made.

    `ca`: certificates of the authorities to trust; None trusts the public ones that gRPC and Python carry.
    `cert`, `key`: the client's certificate, followed by its chain, and its private key, not encrypted, for
    servers that require a client certificate (mutual TLS). `server_name`: the name in the server's certificate,
    where the URL has another, such as an IP address.

    Raises ValueError where `cert` or `key` is given without the other.
    """

    ca: str | os.PathLike[str] | None = None
    cert: str | os.PathLike[str] | None = None
    key: str | os.PathLike[str] | None = None
    server_name: str | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None and not isinstance(value, (str, os.PathLike)):
                raise TypeError(f"tls: {field.name} must be a path or str, not {type(value).__name__}")
        if (self.cert is None) != (self.key is None):
            raise ValueError("tls: cert and key go together: a certificate is of no use without its private key")


def check_tls(tls: Tls | None) -> Tls:
    """The given TLS settings, or the defaults for None; TypeError for anything else, such as a path."""
    if tls is not None and not isinstance(tls, Tls):
        raise TypeError(f"tls must be malgil.Tls, not {type(tls).__name__}")
    return tls or Tls()


def check_key(key: str | None) -> str | None:
    """The given key; TypeError or ValueError where it cannot be a header. Messages get logged, so none contains it."""
    if key is None:
        return None
    if not isinstance(key, str):
        raise TypeError(f"key must be str, not {type(key).__name__}")
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        raise ValueError("key: must be of visible ASCII characters, and at least one")
    return key


def ssl_context(tls: Tls) -> ssl.SSLContext:
    """Python's `SSLContext` for the settings. Raises ValueError for a file that is missing or not PEM."""
    try:
        context = ssl.create_default_context(cafile=tls.ca)
    except (OSError, ValueError) as error:  # an SSLError is an OSError
        raise ValueError(f"tls: ca: {os.fspath(tls.ca or '')!r} {_why(error)}") from None
    if tls.cert is not None and tls.key is not None:
        try:
            context.load_cert_chain(tls.cert, tls.key, password=_no_password)
        except (OSError, ValueError) as error:
            pair = f"{os.fspath(tls.cert)!r} with {os.fspath(tls.key)!r}"
            raise ValueError(f"tls: cert and key: {pair} {_why(error)}") from None
    return context


def trace_headers() -> dict[str, str]:
    """Headers of the caller's trace context (W3C `traceparent`, …); empty without an active OpenTelemetry span."""
    # A caller with a span has imported this module; without one the import would only cost time.
    if "opentelemetry.trace" not in sys.modules:
        return {}
    from opentelemetry.propagate import inject

    headers: dict[str, str] = {}
    inject(headers)
    return headers


def _no_password() -> str:
    raise ValueError("is encrypted: write the key without a password")


def _why(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        if error.reason == "KEY_VALUES_MISMATCH":
            return "do not belong together"
        return "cannot be read as PEM"
    if isinstance(error, OSError):
        return f"cannot be read: {error.strerror}"
    return str(error)
