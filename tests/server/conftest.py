"""What the tests of the server's surroundings share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from server.launcher import Server
from tests.prometheus import scraping


@pytest.fixture(scope="module")
def prometheus(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a Prometheus that scrapes the live server; it has been searched just now."""
    with scraping(server, tmp_path_factory.mktemp("prometheus")) as url:
        yield url
