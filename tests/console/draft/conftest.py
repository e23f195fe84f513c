"""A draft of the sample catalog, embedded by the shared server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import malgil
import pytest
from malgil_core.catalog.reading import Catalog, read_catalog

from console.draft import Draft
from server.launcher import Server
from tests.conftest import CATALOG, NULL_TOPICS


class Memory:
    """A store's catalog in memory; each change is a revision."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog, self._revision = catalog, 1

    def revision(self) -> int:
        return self._revision

    def catalog(self) -> Catalog:
        return self._catalog

    def set(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._revision += 1


@pytest.fixture(scope="session")
def finance() -> Catalog:
    return read_catalog(CATALOG, [NULL_TOPICS])


@pytest.fixture(scope="session")
def drafted(server: Server, repository: Path, index: Path, finance: Catalog) -> Iterator[Draft]:
    """A draft of what serves; tests do not change it."""
    draft = Draft(Memory(finance), lambda: malgil.SearchClient(server.grpc_url, timeout=30), index, repository)
    draft.refresh()
    assert draft.state.problem is None
    yield draft
    draft.stop()
