"""A live server stops correcting a word as soon as a catalog is published that writes it in Latin letters."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from malgil_core.catalog import reading
from malgil_core.encoder import EncoderMetadata
from malgil_core.index.writer import publish
from tritonclient import grpc

from export.catalog.embedding import offline
from server.launcher import Server
from server.ports import free_ports
from tests.live import infer, texts

pytestmark = pytest.mark.live


@pytest.fixture
def started(repository: Path, index: Path, tmp_path: Path) -> Iterator[tuple[Server, Path]]:
    """A server, and the index that it follows."""
    shutil.copytree(repository, tmp_path / "model_repository", symlinks=True)
    shutil.copytree(index, tmp_path / "index")
    with (tmp_path / "log").open("wb") as log, Server(tmp_path / "model_repository", free_ports(), log=log) as server:
        server.wait_ready()
        yield server, tmp_path / "index"


def test_a_published_acronym_is_searched_for_in_latin_letters_without_a_restart(
    started: tuple[Server, Path], repository: Path
) -> None:
    server, index = started

    def ids(text: str, kind: str) -> Any:
        return infer(client, "tokenizer", text=texts([text]), kind=texts([kind]))["input_ids"].tolist()

    with grpc.InferenceServerClient(server.grpc_url) as client:
        assert ids("gksk", "query") == ids("하나", "query")
        fields = {
            "id": 1,
            "service_id": "gksk",
            "name": "GKSK 환율",
            "path": "환율",
            "open": True,
            "phrases": ["어느 나라 돈"],
        }
        catalog = reading.parse(json.dumps(fields).encode(), "catalog")
        publish(catalog, index, EncoderMetadata.of(repository), offline(repository))
        until = time.monotonic() + 30
        while ids("gksk", "query") != ids("gksk", "phrase") and time.monotonic() < until:
            time.sleep(0.1)
        assert ids("gksk", "query") == ids("gksk", "phrase") != ids("하나", "query")
        assert ids("thdrma", "query") == ids("송금", "query")
