"""Markdown and HTML pages: their text is found, their markup is not, and bombs end in one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from documents import pages, sources
from documents.errors import DocumentsError, RecordError

HTML = """<html><head><title>이체 한도</title><meta name="surfaces" content="HELP, SEARCH">
<meta name="phrases" content="더 보내고 싶어, 많이"><meta name="phrases" content="한도 상향">
<link rel="canonical" href="https://help.example.com/limit"></head><body><nav>메뉴</nav>
<h1>이체 한도</h1><p>한도는 <b>백</b>만 원.<br>둘째 줄<ul><li>하나</li><li>둘</li></ul>
<script>alert(1)</script></body>"""
MARKDOWN = """---
category: 송금
updated_at: 2025-01-02
surfaces: [HELP]
phrases: [더 보내고 싶어]
---
# 이체 한도

한도는 *백만* 원. [설정](https://x)에서
바꿉니다.

| 등급 | 한도 |
|---|---|
| 일반 | 백만 |
"""


def test_an_html_page_is_its_text_line_by_line() -> None:
    assert pages.html(HTML) == {
        "title": "이체 한도", "url": "https://help.example.com/limit", "surfaces": ["HELP", "SEARCH"],
        "phrases": ["더 보내고 싶어, 많이", "한도 상향"],
        "body": "이체 한도\n한도는 백만 원.\n둘째 줄\n하나\n둘",
    }  # fmt: skip


def test_a_markdown_page_is_its_text_with_the_first_heading_as_title() -> None:
    assert pages.markdown(MARKDOWN) == {
        "title": "이체 한도", "category": "송금", "updated_at": "2025-01-02", "surfaces": ["HELP"],
        "phrases": ["더 보내고 싶어"], "body": "한도는 백만 원. 설정에서 바꿉니다.\n등급\n한도\n일반\n백만",
    }  # fmt: skip


@pytest.mark.parametrize("text", ["<div>" * 1_000_000, "<" * 20_001], ids=["nested a million deep", "too many tags"])
def test_an_html_bomb_ends_in_one_sentence(text: str) -> None:
    with pytest.raises(RecordError, match=r"the page has \d+ tags: at most"):
        pages.html(text)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[" * 30_000, "marks and lines: at most"),
        ("---\na: &a [x]\nb: [*a, *a]\n---\nx", "a YAML reference"),
        ("---\na: [\n---\nx", "not YAML"),
        ("---\n- a\n---\nx", "the front matter is list"),
        ("---\n1: a\n---\nx", "whose name is no text"),
    ],
)
def test_a_markdown_bomb_ends_in_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(RecordError, match=sentence):
        pages.markdown(text)


def test_a_folder_is_read_with_paths_as_ids_and_each_id_once(tmp_path: Path) -> None:
    (tmp_path / "help").mkdir()
    (tmp_path / "help" / "limit.md").write_text(MARKDOWN, encoding="utf-8")
    (tmp_path / "lost.html").write_text(HTML, encoding="utf-8")
    (tmp_path / "again.md").write_text("---\nid: lost\n---\n# 또\n\n글", encoding="utf-8")
    (tmp_path / "bad.md").write_bytes(b"\xff")
    (tmp_path / "large.html").write_bytes(b" " * (pages.MAX_PAGE_BYTES + 1))
    (tmp_path / "picture.png").write_bytes(b"\x00")
    refused: list[str] = []
    found = list(sources.read([tmp_path], lambda place, sentence: refused.append(f"{Path(place).name}: {sentence}")))
    assert [one.id for _, one in found] == ["lost", "help/limit"]
    assert [line.split(":")[0] for line in refused] == ["bad.md", "large.html", "lost.html"]


@pytest.mark.parametrize("name", ["missing.jsonl", "notes.txt"])
def test_a_path_that_holds_no_documents_is_refused_by_name(tmp_path: Path, name: str) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(DocumentsError, match=name):
        list(sources.read([tmp_path / name], lambda place, sentence: None))
