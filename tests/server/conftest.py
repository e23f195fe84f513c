"""A server that asks for all it can (TLS, client certificates, keys) and traces; a Prometheus of the live one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from malgil import SearchClient

from server.exposure import Exposure
from server.launcher import Server
from server.ports import free_ports
from server.tls import Certificates
from server.tracing import trace_flags
from tests.client.certificates import Authority
from tests.prometheus import scraping
from tests.server.collector import Collector

KEY = "the-key-of-those-who-search"
ADMIN_KEY = "the-key-of-those-who-administer"


@dataclass(frozen=True)
class Secure:
    """The server, what its clients need, where its traces go, and its log."""

    server: Server
    authority: Authority
    collector: Collector
    log: Path

    def url(self, protocol: str) -> str:
        """For grpc or http."""
        return self.server.grpc_url if protocol == "grpc" else self.server.http_url

    def client(self, protocol: str, **settings: Any) -> SearchClient:
        """A client that has all the server asks for, but for the settings given."""
        usual: dict[str, Any] = {"tls": self.authority.tls, "key": KEY, "retries": 0}
        return SearchClient(self.url(protocol), **(usual | settings))


@pytest.fixture(scope="session")
def collector() -> Iterator[Collector]:
    with Collector() as running:
        yield running


@pytest.fixture(scope="session")
def secure(
    repository: Path, index: Path, collector: Collector, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Secure]:
    authority = Authority(tmp_path_factory.mktemp("authority") / "a $folder with \"quotes'")
    log = tmp_path_factory.mktemp("log") / "secure.log"
    certificates = Certificates(authority.cert, authority.key, authority.ca)
    exposure = Exposure(listen="0.0.0.0", certificates=certificates, key=KEY, admin_key=ADMIN_KEY)
    with (
        log.open("wb") as stream,
        # One of a million: only what brings a trace context.
        Server(repository, free_ports(), exposure, stream, trace_flags(collector.url, 1_000_000)) as server,
    ):
        try:
            server.wait_ready()
        except BaseException:
            print(log.read_text(errors="replace")[-5000:])
            raise
        yield Secure(server, authority, collector, log)


@pytest.fixture(scope="module")
def prometheus(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a Prometheus that scrapes the live server; it has been searched just now."""
    with scraping(server, tmp_path_factory.mktemp("prometheus")) as url:
        yield url
