"""The commands, one after the other, with a milvus-lite."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from documents.__main__ import main
from tests.documents.corpus import DOCUMENTS

pytestmark = [pytest.mark.live, pytest.mark.slow]


def test_documents_are_ingested_listed_found_rebuilt_and_deleted_by_commands(
    lite: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MALGIL_DOCUMENTS", lite)
    monkeypatch.setattr("documents.cli.GRACE_SECONDS", 0.1)
    file = tmp_path / "documents.jsonl"
    file.write_text("".join(json.dumps(one) + "\n" for one in DOCUMENTS), encoding="utf-8")

    def run(*words: str) -> tuple[int, str, str]:
        status = main([*words])
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    assert run("list") == (1, "", "the engine has no documents yet: run `python -m documents ingest`\n")
    assert "4 new, 0 changed" in run("ingest", str(file), "--offline")[1]
    assert "0 new, 0 changed, 4 unchanged" in run("ingest", str(file), "--offline")[1]
    assert "lost\t카드 분실 신고\t카드\t2024-11-30\t1\n" in run("list")[1]
    assert run("verify")[:2] == (0, "documents_000001: 4 documents, 4 passages, 0 problems\n")
    found = run("search", "이체 한도", "--offline", "--filter", '{"category": "송금"}')[1]
    assert found.splitlines()[0].endswith("이체 한도 올리기  https://help.example.com/limit")
    assert run("search", "한도", "--offline", "--filter", "{]")[0] == 1
    with file.open("a") as stream:
        stream.write('{"id": "bad"}\n')
    status, out, err = run("ingest", str(file), "--offline")
    assert (status, "1 refused" in out, err) == (1, True, f"{file}:5: title is missing\n")
    assert "nothing was moved" in run("rebuild", str(file), "--offline")[2]
    file.write_text(json.dumps(DOCUMENTS[0]), encoding="utf-8")
    assert "tokens: run `python -m documents rebuild`" in run("ingest", str(file), "--offline", "--tokens", "64")[2]
    assert run("rebuild", str(file), "--offline", "--tokens", "64")[0] == 0
    assert run("list")[1].splitlines() == ["limit\t이체 한도 올리기\t송금\t2025-03-01\t1"]
    phrased = {**DOCUMENTS[0], "phrases": ["더 보내고 싶어", "한도 상향"]}
    file.write_text(json.dumps(phrased), encoding="utf-8")
    assert "1 changed, 0 unchanged, 0 refused; 3 passages and phrases" in run("ingest", str(file), "--offline")[1]
    assert run("list")[1].splitlines() == ["limit\t이체 한도 올리기\t송금\t2025-03-01\t1"]
    assert run("verify")[1].endswith(": 1 documents, 1 passages, 0 problems\n")
    assert run("delete", "limit", "nothing")[1] == "1 of 2 documents deleted\n"
    assert run("verify")[0] == 0


def test_figures_are_written_of_each_kind_and_method_and_absent_data_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    articles, questions, figures = (tmp_path / name for name in ("a.jsonl", "q.jsonl", "figures.json"))
    articles.write_text("".join(json.dumps(one) + "\n" for one in DOCUMENTS), encoding="utf-8")
    asked = [("이체 한도 올리기", "limit", "keywords"), ("카드 분실 신고", "lost", "keywords"), ("날씨", None, "none")]
    questions.write_text(
        "".join(json.dumps({"query": text, "id": id, "kind": kind}) + "\n" for text, id, kind in asked)
    )
    words = [
        "--articles",
        str(articles),
        "--questions",
        str(questions),
        "--json",
        str(figures),
        "--data",
        str(tmp_path),
    ]
    assert main(["evaluate", "--offline", *words]) == 0
    assert "skipped: there is no korquad" in capsys.readouterr().out
    written = json.loads(figures.read_text())
    best = {"recall@1": 1.0, "recall@5": 1.0, "recall@20": 1.0, "mrr@10": 1.0, "queries": 2}
    assert written["articles"] == written["articles/keywords"] == {"bm25": best, "both": best, "dense": best}


def test_the_gain_of_phrases_is_seen_by_leaving_them_out(tmp_path: Path) -> None:
    articles, questions, figures = (tmp_path / name for name in ("a.jsonl", "q.jsonl", "figures.json"))
    phrased = {**DOCUMENTS[2], "phrases": ["우주 여행 예약", "달나라로 날아가기"]}
    articles.write_text("".join(json.dumps(one) + "\n" for one in (*DOCUMENTS[:2], phrased)), encoding="utf-8")
    questions.write_text(json.dumps({"query": "달나라로 날아가기", "id": "fee", "kind": "question"}) + "\n")
    words = [
        "evaluate",
        "--offline",
        "--articles",
        str(articles),
        "--questions",
        str(questions),
        "--json",
        str(figures),
    ]

    def first(*options: str) -> float:
        assert main([*words, *options]) == 0
        return float(json.loads(figures.read_text())["articles"]["both"]["recall@1"])

    assert (first(), first("--without-phrases")) == (1.0, 0.0)
