"""`python -m benchmarks documents`: what readers decide an engine by, and what apps see when it is killed."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import malgil
import pytest

from benchmarks.documents import engines, page, sla, updates
from documents import sources
from documents.embedded import embedded
from documents.evaluate_cli import ARTICLES
from documents.records import Record
from export import ROOT

RESULT: dict[str, Any] = {
    "machine": {"cpu": "a CPU", "cores": 2, "memory_gib": 24, "gpus": []}, "code": {"commit": None}, "engines": [],
    "not_measured": [{"engine": "milvus", "passages": 1000, "why": "no namespace"}],
    "updates": asdict(updates.Outcome(1, 1.0, 1, 0, 0, 0)), "loads": [],
    "kills": [asdict(sla.Kill(1, 0, 1.0, 150, 0, {"ok": 1}, 1.0))],
}  # fmt: skip


@pytest.fixture(scope="module")
def articles() -> list[Record]:
    """The sample's."""
    return [one for _, one in sources.read([ARTICLES], lambda place, sentence: None)]


def test_passages_differ_so_that_an_engine_has_as_many_to_search(articles: list[Record]) -> None:
    made = engines.records(articles, 500)
    assert len({one.id for one in made}) == len({one.body for one in made}) == 500
    assert not any(one.phrases for one in made)


def test_figures_of_an_engine_are_of_all_its_passages(articles: list[Record]) -> None:
    done: dict[str, tuple[int, int]] = {}
    found = engines.measure(
        "milvus-lite", engines.records(articles, 150), ["이체 한도", "카드 분실"], 8,
        lambda what, count, all: done.update({what: (count, all)}),
    )  # fmt: skip
    assert found.passages == 150
    assert found.searches == 8
    assert done == {"passages": (150, 150), "searches": (3, 3)}
    assert found.ingest
    assert found.ingest > 1
    assert 0 < found.p50 <= found.p99
    assert found.memory
    assert found.memory > 50
    assert found.fresh
    assert found.fresh < 30


def test_a_slow_engine_is_searched_less_often_so_that_a_run_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "SEARCH_SECONDS", 0.1)
    assert len(engines._times(lambda: time.sleep(0.05), 200)) == engines.LEAST
    assert len(engines._times(lambda: time.sleep(0.01), 5)) == 5


def test_answers_with_another_score_name_or_order_are_told_from_the_same() -> None:
    hit = malgil.Hit(7, "송금", "홈 > 송금", 0.5, "돈 보내기")
    other = malgil.Hit(8, "카드", "홈 > 카드", 0.4, "카드 신청")
    wanted = malgil.SearchResult((hit, other), 3)
    assert sla.is_same(malgil.SearchResult((replace(hit, score=0.500001), other), 3), wanted)
    assert not sla.is_same(malgil.SearchResult((hit, other), 4), wanted)
    changes: list[tuple[malgil.Hit, ...]] = [
        (other, hit), (hit,), (replace(hit, score=0.51), other), (replace(hit, name="이체"), other),
    ]  # fmt: skip
    for changed in changes:
        assert not sla.is_same(malgil.SearchResult(changed, 3), wanted)


def test_the_page_says_what_was_not_measured_and_why() -> None:
    assert "- milvus with 1,000 passages: no namespace" in page.page(RESULT)
    assert "Not measured" not in page.page({**RESULT, "not_measured": []})


def test_an_update_is_never_missing_torn_or_lost_while_people_search(articles: list[Record]) -> None:
    with embedded() as uri:
        found = updates.measure(uri, engines.records(articles, 30), 45, 2)
    assert found.updates == 45
    assert found.searches > 0
    assert (found.missing, found.torn, found.lost) == (0, 0, 0)


@pytest.mark.live
def test_when_the_engine_is_killed_under_load_every_request_is_answered_with_its_services(tmp_path: Path) -> None:
    file = tmp_path / "documents.json"
    command = [sys.executable, "-m", "benchmarks", "documents", "--quick", "--engines", "numpy", "--json", str(file)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=400, check=False)
    assert ended.returncode == 0, ended.stderr[-3000:]
    result = json.loads(file.read_text(encoding="utf-8"))
    (kill,) = result["kills"]
    assert kill["failed"] == 0
    assert kill["statuses"]["ok"] > 0
    assert kill["statuses"]["unavailable"] > 0
    assert kill["changed"] == 0
    assert kill["back"] < 10  # 5 on a machine that does nothing else
    down = [one for one in result["loads"] if one["engine"] == "down" and one["model"] == "unified"]
    assert all(one["statuses"]["unavailable"] > 0 for one in down)
    assert "Killed under load" in file.with_suffix(".md").read_text(encoding="utf-8")
