"""Who may reach what: addresses, TLS, and the keys that open Triton's groups of calls."""

from __future__ import annotations

import argparse
import ipaddress
import os
import re
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from server.tls import Certificates
from server.triton import Ports, SetupError

LOOPBACK = "127.0.0.1"

# Triton's names for groups of calls, the same for gRPC and HTTP. `health` stays open, `inference` has a key of its own.
# Nothing of ours uses the first: the stubs' own shared memory could be registered, and answers written over it; traces
# and verbose logs could be turned on for good.
CHANGING = ("shared-memory", "model-repository", "trace", "logging")
TELLING = ("metadata", "model-config", "statistics")

# The header that carries a key; over gRPC Triton puts `triton-grpc-protocol-` before it.
KEY_HEADER = "malgil-key"
ADMIN_HEADER = "malgil-admin-key"

# The largest batch of the longest texts, 64 × 8 KiB, twice over for JSON's escapes, and room.
MAX_HTTP_BYTES = 2 * 2**20

_KEY = re.compile(r"[A-Za-z0-9._~-]{16,}")


@dataclass(frozen=True)
class Exposure:
    """Where a server listens, and what it asks of those who come.

    Args:
        listen: IPv4 address of gRPC and HTTP.
        metrics_listen: that of the metrics, which know neither TLS nor keys; None: loopback under TLS, else `listen`.
        certificates: TLS of gRPC and HTTP; None: none.
        key: what searches and embeddings must bring; None: nothing.
        admin_key: what everything else but health must bring; None: see `flags`.
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

    def hosts(self) -> dict[str, str]:
        """The address of each of the names in Ports."""
        return {"http": self.listen, "grpc": self.listen, "metrics": self.metrics}

    def flags(self, ports: Ports, inner_http: int | None) -> list[str]:
        """Triton's flags for all of this.

        Without an admin key, what changes the server is closed: behind a random key that nobody is told. So is what
        tells of it, beyond loopback; on loopback benchmarks and tests read it.

        Args:
            inner_http: where Triton's HTTP listens on loopback, behind what ends TLS; None: where `ports` says.
        """
        http = (self.listen, ports.http) if inner_http is None else (LOOPBACK, inner_http)
        flags = [
            f"--http-address={http[0]}",
            f"--http-port={http[1]}",
            f"--grpc-address={self.listen}",
            f"--grpc-port={ports.grpc}",
            f"--metrics-address={self.metrics}",
            f"--metrics-port={ports.metrics}",
        ]
        if self.certificates:
            flags += self.certificates.grpc_flags()
        told = self.admin_key is None and is_loopback(self.listen)
        flags += _restricted(CHANGING if told else CHANGING + TELLING, ADMIN_HEADER, self.admin_key or _unknown())
        if self.key is not None:
            flags += _restricted(("inference",), KEY_HEADER, self.key)
        return flags


def is_loopback(address: str) -> bool:
    """Whether only this machine reaches the address."""
    return ipaddress.ip_address(address).is_loopback


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options that `from_arguments` reads."""
    group = parser.add_argument_group("who may reach it", "docs/security.md says what is and is not defended")
    group.add_argument(
        "--listen", default=LOOPBACK, type=_address, metavar="ADDRESS", help="IPv4 address (default: %(default)s)"
    )
    group.add_argument(
        "--metrics-listen",
        type=_address,
        metavar="ADDRESS",
        help="of the metrics, which know neither TLS nor keys (default: under TLS 127.0.0.1, else that of --listen)",
    )
    group.add_argument("--insecure", action="store_true", help="listen beyond loopback without TLS")
    group.add_argument(
        "--tls-cert", type=Path, metavar="FILE", help="TLS: the server's certificate and its chain (PEM)"
    )
    group.add_argument("--tls-key", type=Path, metavar="FILE", help="TLS: its private key (PEM, not encrypted)")
    group.add_argument(
        "--tls-client-ca",
        type=Path,
        metavar="FILE",
        help="TLS: ask clients for a certificate of these authorities (PEM)",
    )
    group.add_argument(
        "--key-file", type=Path, metavar="FILE", help="key that searches must bring (or MALGIL_KEY; default: none)"
    )
    group.add_argument(
        "--admin-key-file",
        type=Path,
        metavar="FILE",
        help="key that all but searches and health must bring (or MALGIL_ADMIN_KEY; default: closed to everybody, "
        "but for metadata, configs and statistics on loopback)",
    )


def from_arguments(arguments: argparse.Namespace) -> Exposure:
    """What the options ask for.

    Raises:
        SetupError: they contradict each other, or a file is not what it should be.
    """
    certificates = None
    if arguments.tls_cert and arguments.tls_key:
        certificates = Certificates(arguments.tls_cert, arguments.tls_key, arguments.tls_client_ca)
    elif arguments.tls_cert or arguments.tls_key or arguments.tls_client_ca:
        raise SetupError("--tls-cert and --tls-key go together, and --tls-client-ca with both")
    if not (certificates or arguments.insecure or is_loopback(arguments.listen)):
        raise SetupError(
            f"--listen {arguments.listen} is beyond this machine's loopback, where anyone may read along: "
            "give --tls-cert and --tls-key, or --insecure if something in front of it ends TLS and checks who asks"
        )
    return Exposure(
        listen=arguments.listen,
        metrics_listen=arguments.metrics_listen,
        certificates=certificates,
        key=read_key("--key-file", arguments.key_file, "MALGIL_KEY"),
        admin_key=read_key("--admin-key-file", arguments.admin_key_file, "MALGIL_ADMIN_KEY"),
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


def _unknown() -> str:
    return secrets.token_urlsafe(32)


def _address(text: str) -> str:
    try:
        return str(ipaddress.IPv4Address(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
