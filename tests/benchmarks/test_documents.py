"""`python -m benchmarks documents`: what readers decide an engine by, and what apps see when it is killed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.documents import engines, updates
from documents import sources
from documents.embedded import embedded
from documents.evaluate_cli import ARTICLES
from documents.records import Record
from export import ROOT


@pytest.fixture(scope="module")
def articles() -> list[Record]:
    """The sample's."""
    return [one for _, one in sources.read([ARTICLES], lambda place, sentence: None)]


def test_passages_differ_so_that_an_engine_has_as_many_to_search(articles: list[Record]) -> None:
    made = engines.records(articles, 500)
    assert len({one.id for one in made}) == len({one.body for one in made}) == 500
    assert not any(one.phrases for one in made)


def test_figures_of_an_engine_are_of_all_its_passages(articles: list[Record]) -> None:
    found = engines.measure(
        "milvus-lite", engines.records(articles, 150), ["이체 한도", "카드 분실"], 8, lambda _: None
    )
    assert found.passages == 150
    assert found.ingest
    assert found.ingest > 1
    assert 0 < found.p50 <= found.p99
    assert found.memory
    assert found.memory > 50
    assert found.fresh
    assert found.fresh < 30


def test_an_update_is_never_missing_torn_or_lost_while_people_search(articles: list[Record]) -> None:
    with embedded() as uri:
        found = updates.measure(uri, engines.records(articles, 30), 60, 2)
    assert found.searches > 0
    assert (found.missing, found.torn, found.lost) == (0, 0, 0)


@pytest.mark.live
def test_when_the_engine_is_killed_under_load_every_request_is_answered_with_its_services(tmp_path: Path) -> None:
    file = tmp_path / "documents.json"
    command = [sys.executable, "-m", "benchmarks", "documents", "--quick", "--engines", "numpy", "--json", str(file)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=400, check=False)
    assert ended.returncode == 0, ended.stderr[-3000:]
    result = json.loads(file.read_text(encoding="utf-8"))
    assert result["kill"]["failed"] == 0
    assert result["kill"]["statuses"]["ok"] > 0
    assert result["kill"]["statuses"]["unavailable"] > 0
    assert result["kill"]["changed"] == 0
    assert result["kill"]["back"] < 10  # 5 on a machine that does nothing else
    down = [one for one in result["loads"] if one["engine"] == "down" and one["model"] == "unified"]
    assert all(one["statuses"]["unavailable"] > 0 for one in down)
    assert "Killed under load" in file.with_suffix(".md").read_text(encoding="utf-8")
