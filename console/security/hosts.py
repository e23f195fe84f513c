"""The Host header and proxies: under which names the console answers, and whose headers it believes.

A page of another site can make its own name point at 127.0.0.1 (DNS rebinding) and then reads the console as if it were
that site's. Its requests carry its name as Host, which is refused here; a number is nobody's to point elsewhere.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence

from starlette._utils import parse_host_header
from starlette.requests import Request

LOOPBACK = ("127.0.0.0/8", "::1/128")
_FORWARDING = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "via")


def is_loopback(address: str) -> bool:
    """Whether an address, or the name `localhost`, is this machine's loopback."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"


def own_names(listen: str) -> frozenset[str]:
    """The names of the console that need not be given: localhost, and beyond loopback this machine's."""
    names = {"localhost"}
    if not is_loopback(listen):
        names |= {listen, socket.gethostname(), socket.getfqdn()}
    return frozenset(name.lower() for name in names)


def known_host(request: Request, names: frozenset[str], listen: str) -> bool:
    """Whether the Host header is one of the names, or an address (on loopback: a loopback address)."""
    values = request.headers.getlist("host")
    parsed = parse_host_header(values[0]) if len(values) == 1 else None
    if parsed is None:
        return False
    host = parsed.host.lower().strip("[]").rstrip(".")
    if host in names:
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or not is_loopback(listen)


def within(address: str | None, networks: Sequence[str]) -> bool:
    """Whether an address is in one of the networks."""
    try:
        parsed = ipaddress.ip_address(address or "")
    except ValueError:
        return False
    mapped = getattr(parsed, "ipv4_mapped", None) or parsed
    return any(mapped in ipaddress.ip_network(network, strict=False) for network in networks)


def was_forwarded(request: Request) -> bool:
    """Whether a proxy has sent the request on, as far as it says so."""
    return any(name in request.headers for name in _FORWARDING)
