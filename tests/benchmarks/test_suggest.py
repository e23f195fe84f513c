"""`python -m benchmarks suggest`: both models are asked for the same texts, and the page says what was measured."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import suggest
from benchmarks.__main__ import main
from server.launcher import Server


def test_the_texts_are_what_people_type_on_the_way() -> None:
    typed = suggest.texts()
    assert len(typed) == suggest.MOST
    assert {"ㅅ", "송ㄱ"} & {*typed}
    assert any(text.isascii() for text in typed)  # the wrong layout
    assert typed == suggest.texts()


@pytest.mark.slow
def test_suggestions_and_searches_are_measured_and_told(server: Server, tmp_path: Path) -> None:
    file = tmp_path / "suggest.json"
    command = ["suggest", "--clients", "1,2", "--turns", "2", "--requests", "300", "--names", "3", "--note", "Busy."]
    assert main([*command, "--url", server.grpc_url, "--json", str(file)]) == 0
    result = json.loads(file.read_text(encoding="utf-8"))
    assert [one["clients"] for one in result["loads"]] == [1, 2]
    for one in result["loads"]:
        for name in ("suggest_p50", "search_p50", "suggest_rate", "search_rate", "ratios"):
            assert len(one[name]) == 2
            assert all(value > 0 for value in one[name])
    keys = result["keys"]
    assert keys["texts"] == 3
    assert 1 <= keys["suggest"] <= keys["keys"]
    assert 1 <= keys["search"] <= keys["keys"]
    assert result["batch_ms"] > 0
    assert file.with_suffix(".md").read_text(encoding="utf-8") == suggest.page(result)
    assert "Busy." in suggest.page(result)
