"""Connecting to an engine: what cannot be reached ends in one sentence."""

from __future__ import annotations

import pytest

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
