"""Connecting to an engine: what cannot be reached ends in one sentence."""

from __future__ import annotations

from typing import Any

import pytest
from pymilvus.client.connection_manager import ConnectionManager

from documents.engine import Access, Engine, EngineError


@pytest.mark.parametrize(
    "uri", ["documents.db", "http://", "http://host", "ftp://host:1", "http://host:99999", "", "x" * 999]
)
def test_an_address_that_is_none_is_refused_with_its_form(uri: str) -> None:
    with pytest.raises(EngineError, match="it must be http://HOST:PORT"):
        Engine(Access(uri))


def test_an_engine_that_is_down_says_how_to_start_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("documents.engine.CONNECT_SECONDS", 1.0)
    with pytest.raises(EngineError, match="milvus-lite server") as raised:
        Engine(Access("http://127.0.0.1:9"))
    assert len(str(raised.value).splitlines()) == 1


@pytest.mark.live
def test_a_connection_whose_first_call_fails_is_closed(lite: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise EngineError("the engine refuses get_server_version: it starts")

    def connections() -> int:
        return int(ConnectionManager.get_instance().get_stats()["dedicated_connections"])

    before = connections()
    monkeypatch.setattr(Engine, "call", refuse)
    with pytest.raises(EngineError, match="it starts"):
        Engine(Access(lite))
    assert connections() == before
