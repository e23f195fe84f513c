"""The ports of a server: their defaults, and finding free ones."""

from __future__ import annotations

import itertools
import random
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from server.triton import SetupError


@dataclass(frozen=True)
class Ports:
    """The ports that a server listens on."""

    http: int = 8000
    grpc: int = 8001
    metrics: int = 8002


def free_ports() -> Ports:
    """Three ports that nothing listens on.

    None of those that Linux gives to outgoing connections: while a server starts, or starts again, one of them could
    take its port, and a client that keeps trying to reach a port of these can even connect to itself.
    """
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii").split()[0])
    candidates = random.sample(range(min(10_000, lowest - 1_000), lowest), k=1_000)
    return Ports(*itertools.islice(filter(_is_free, candidates), 3))


def check_free(hosts: Mapping[str, str], ports: Ports) -> None:
    """Check that every port can be listened on; `hosts` are the addresses by the names in Ports.

    Raises:
        SetupError: a port is taken.
    """
    for name, host in hosts.items():
        port = getattr(ports, name)
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind((host, port))
            except OSError as error:
                raise SetupError(
                    f"{name} port {port} on {host}: {error.strerror}; give another with --{name}-port, or --free-ports"
                ) from None


def _is_free(port: int) -> bool:
    with socket.socket() as listener:
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
