"""Access to a server: its addresses, its TLS, and the keys that open Triton's groups of calls."""

from __future__ import annotations

import ipaddress
import os
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from server.ports import Ports
from server.tls import Certificates
from server.triton import SetupError

LOOPBACK = "127.0.0.1"
# Milliseconds after which gRPC clients connect anew, requests under way unharmed, and look up the name again: so they
# find replicas that were added since.
CONNECTION_AGE_MS = 300_000

# Triton's names for groups of calls, the same for gRPC and HTTP. `health` stays open, `inference` has a key of its own.
# This project uses none of the first: the stubs' own shared memory could be registered, and answers written over it;
# traces and verbose logs could be turned on for good.
CHANGING = ("shared-memory", "model-repository", "trace", "logging")
DESCRIBING = ("metadata", "model-config", "statistics")

# The header that carries a key; over gRPC Triton puts `triton-grpc-protocol-` before it.
KEY_HEADER = "malgil-key"
ADMIN_HEADER = "malgil-admin-key"

_KEY = re.compile(r"[A-Za-z0-9._~-]{16,}")


@dataclass(frozen=True)
class Exposure:
    """The addresses a server listens on, and the certificates and keys it asks for.

    Args:
        listen: IPv4 address of gRPC and HTTP.
        metrics_listen: that of the metrics, which have neither TLS nor keys; None: loopback under TLS, else `listen`.
        certificates: TLS of gRPC and HTTP; None: no TLS.
        key: the key of searches and embeddings; None: none is asked for.
        admin_key: the key of everything else but health; None: see `flags`.
    """

    listen: str = LOOPBACK
    metrics_listen: str | None = None
    certificates: Certificates | None = None
    key: str | None = field(default=None, repr=False)
    admin_key: str | None = field(default=None, repr=False)

    @property
    def metrics(self) -> str:
        """The address of the metrics."""
        return self.metrics_listen or (LOOPBACK if self.certificates else self.listen)

    @property
    def proxies_grpc(self) -> bool:
        """Whether the proxy stands before gRPC, too: under TLS and beyond loopback.

        On loopback it would keep nobody from Triton, whose own ports are there, and cost each request 0.2 ms.
        """
        return self.certificates is not None or not is_loopback(self.listen)

    def hosts(self) -> dict[str, str]:
        """The address of each port, by the names in Ports."""
        return {"http": self.listen, "grpc": self.listen, "metrics": self.metrics}

    def flags(self, ports: Ports, inner: Ports) -> list[str]:
        """Triton's flags for these addresses and keys; TLS is the proxy's.

        Without an admin key, calls that change the server are closed: behind a random key that nobody is told. So are
        calls that describe it, beyond loopback; on loopback benchmarks and tests use them.

        Args:
            ports: what clients connect to.
            inner: Triton's own ports on loopback, behind the proxy.
        """
        flags = [
            f"--http-address={LOOPBACK}",
            f"--http-port={inner.http}",
            f"--grpc-address={LOOPBACK if self.proxies_grpc else self.listen}",
            f"--grpc-port={(inner if self.proxies_grpc else ports).grpc}",
            f"--metrics-address={self.metrics}",
            f"--metrics-port={ports.metrics}",
        ]
        if not self.proxies_grpc:
            flags.append(f"--grpc-max-connection-age={CONNECTION_AGE_MS}")
        described = self.admin_key is None and is_loopback(self.listen)
        closed = CHANGING if described else CHANGING + DESCRIBING
        flags += _restricted(closed, ADMIN_HEADER, self.admin_key or secrets.token_urlsafe(32))
        if self.key is not None:
            flags += _restricted(("inference",), KEY_HEADER, self.key)
        return flags


def is_loopback(address: str) -> bool:
    """Whether only this machine reaches the address."""
    return ipaddress.ip_address(address).is_loopback


def options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that `from_options` takes to a click command."""
    for option in reversed(
        [
            click.option(
                "--listen",
                default=LOOPBACK,
                show_default=True,
                callback=_address,
                metavar="ADDRESS",
                help="IPv4 address of gRPC and HTTP; beyond loopback it asks for TLS, or --insecure.",
            ),
            click.option(
                "--metrics-listen",
                callback=_address,
                metavar="ADDRESS",
                help="IPv4 address of the metrics, which have neither TLS nor keys.  "
                "[default: under TLS 127.0.0.1, else that of --listen]",
            ),
            click.option("--insecure", is_flag=True, help="Listen beyond loopback without TLS."),
            _file("--tls-cert", "TLS: the server's certificate and its chain (PEM)."),
            _file("--tls-key", "TLS: its private key (PEM, not encrypted)."),
            _file("--tls-client-ca", "TLS: ask clients for a certificate of these authorities (PEM)."),
            _file("--key-file", "Key that searches must bring (or MALGIL_KEY).  [default: none]"),
            _file(
                "--admin-key-file",
                "Key that all but searches and health must bring (or MALGIL_ADMIN_KEY).  [default: closed to "
                "everybody, but for metadata, configs and statistics on loopback]",
            ),
        ]
    ):
        command = option(command)
    return command


def from_options(
    listen: str = LOOPBACK,
    metrics_listen: str | None = None,
    insecure: bool = False,
    tls_cert: Path | None = None,
    tls_key: Path | None = None,
    tls_client_ca: Path | None = None,
    key_file: Path | None = None,
    admin_key_file: Path | None = None,
) -> Exposure:
    """The exposure that the command line's options ask for, with keys from their files or the environment.

    Raises:
        SetupError: they contradict each other, or a file is not what it should be.
    """
    certificates = None
    if tls_cert and tls_key:
        certificates = Certificates(tls_cert, tls_key, tls_client_ca)
    elif tls_cert or tls_key or tls_client_ca:
        raise SetupError("--tls-cert and --tls-key go together, and --tls-client-ca with both")
    if not (certificates or insecure or is_loopback(listen)):
        raise SetupError(
            f"--listen {listen} is beyond this machine's loopback, where anyone may read along: "
            "give --tls-cert and --tls-key, or --insecure if a proxy in front of it terminates TLS and checks who asks"
        )
    return Exposure(
        listen=listen,
        metrics_listen=metrics_listen,
        certificates=certificates,
        key=read_key("--key-file", key_file, "MALGIL_KEY"),
        admin_key=read_key("--admin-key-file", admin_key_file, "MALGIL_ADMIN_KEY"),
    )


def read_key(option: str, path: Path | None, variable: str) -> str | None:
    """The key in the file, else in the environment; None where there is neither.

    Raises:
        SetupError: it cannot be read, or is too weak to be one, or Triton's flags could not carry it.
    """
    source = f"{option} {path}" if path else variable
    try:
        key = path.read_text(encoding="ascii").strip() if path else os.environ.get(variable, "")
    except OSError as error:
        raise SetupError(f"{source} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        key = " "
    if not path and not key:
        return None
    if not _KEY.fullmatch(key):
        raise SetupError(
            f"{source}: a key is 16 or more of the characters A-Z a-z 0-9 . _ ~ -; make one with `openssl rand -hex 32`"
        )
    return key


def _restricted(groups: tuple[str, ...], header: str, key: str) -> list[str]:
    names = ",".join(groups)
    return [f"--grpc-restricted-protocol={names}:{header}={key}", f"--http-restricted-api={names}:{header}={key}"]


def _file(name: str, text: str) -> Callable[..., Any]:
    return click.option(name, type=click.Path(path_type=Path), metavar="FILE", help=text)


def _address(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    try:
        return value if value is None else str(ipaddress.IPv4Address(value))
    except ValueError:
        here = "127.0.0.1 for this machine alone, 0.0.0.0 for all"
        raise click.BadParameter(f"{value} is not an IPv4 address, the only kind that is served: {here}") from None
