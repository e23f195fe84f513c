"""`python -m benchmarks console`: what its catalogs and its page say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from malgil_core.catalog.reading import parse_catalog, read_catalog

from benchmarks.__main__ import main
from benchmarks.console.catalog import grown
from benchmarks.console.cli import page
from export import ROOT
from server.launcher import Server


@pytest.mark.parametrize("size", [40, 150, 700])
def test_a_catalog_of_any_size_can_be_published_and_its_phrases_differ(size: int) -> None:
    services = grown(read_catalog(ROOT / "catalogs/finance.jsonl").services, size)
    lines = "".join(json.dumps(one.as_dict(), ensure_ascii=False) + "\n" for one in services)
    assert len(parse_catalog(lines.encode(), "grown").services) == size
    texts = [text for one in services for text in one.texts]
    assert len(set(texts)) > 0.99 * len(texts)


@pytest.mark.slow
def test_every_page_and_keystroke_is_measured_and_told(server: Server, tmp_path: Path) -> None:
    file = tmp_path / "console.json"
    command = ["console", "--services", "150", "--keystrokes", "12", "--url", server.grpc_url, "--note", "Busy."]
    assert main([*command, "--json", str(file)]) == 0
    result = json.loads(file.read_text(encoding="utf-8"))
    times = {one["name"]: one for one in result["sizes"][0]["times"]}
    assert {"/publish", "search as one types", "warnings as one types", "search during a rebuild"} <= times.keys()
    assert all(0 < one["p50"] <= one["p95"] <= one["longest"] for one in times.values())
    assert file.with_suffix(".md").read_text(encoding="utf-8") == page(result)
    assert "Busy." in page(result)
    assert "## 150 services" in page(result)
