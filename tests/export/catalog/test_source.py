"""Publishing from a database: the same catalog, the same conditions, and no password in what is printed."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from malgil_core.index import history, reader

from export.__main__ import main
from export.catalog import embedding, source
from store.store import Store
from tests.export.catalog.test_publish import ONE, TWO, publish, repository, vectors
from tests.postgresql import ENCODED, PASSWORD

__all__ = ["repository"]


def test_a_database_is_checked_and_published_when_it_changed_and_by_nobody_else_s_leave(
    database: str, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(embedding, "offline", lambda *_: vectors)
    index = tmp_path / "index"
    lines = "".join(json.dumps(one.as_dict()) + os.linesep for one in (ONE, TWO))
    with Store.open(database) as store:
        store.replace(lines.encode(), "a.jsonl", by="kim")
        assert main(["catalog", "check", database]) == 0
        assert "2 services" in capsys.readouterr().out
        for expected in (1, 1):
            assert publish(database, index, repository, "changed") == 0  # type: ignore[arg-type]
            assert reader.current(index) == expected
        state = source.of(database).state()
        store.record("login", "account", "kim", by="kim")
        assert source.of(database).state() == state
        entry = store.service(ONE.id)
        store.save_service(replace(entry.value, name="보내기"), by="kim", expected=1)
        assert source.of(database).state() != state
        assert publish(database, index, repository, "changed") == 0  # type: ignore[arg-type]
        assert [line["name"] for line in history.catalog(index, 2)] == ["보내기", TWO.name]
    printed = capsys.readouterr()
    assert "is not what generation 1 was made of" in printed.out
    assert PASSWORD not in printed.out + printed.err
    assert ENCODED not in printed.out + printed.err


def test_a_database_that_is_not_there_is_one_sentence_and_publishes_nothing(
    repository: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for url in (f"sqlite:///{tmp_path}/absent.db", "postgresql://kim:hidden@127.0.0.1:1/name", "ftp://kim:hidden@host"):
        assert publish(url, tmp_path / "index", repository, "missing") == 1  # type: ignore[arg-type]
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert "hidden" not in error
