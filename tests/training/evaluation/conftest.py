"""Tiny encoders, a tiny catalog and tiny data sets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from malgil_core.catalog.service import Service

from export import ROOT
from export.catalog.labelled import OUT_OF_SCOPE, Labelled
from tests.training.evaluation import tiny

NAMES = ("송금", "환율 조회", "카드 분실 신고", "대출 한도", "적금 만들기", "공과금 납부")
SERVICES = [
    Service(10 + i, None, f"s{i}", name, name, True, (f"{name}하는 곳", f"{name} 어디"), "", ("SEARCH",), None)
    for i, name in enumerate(NAMES)
]
LABELLED = [
    Labelled(f"{name} {ending}", 10 + i, "keyword")
    for i, name in enumerate(NAMES)
    for ending in ("해 줘", "보기", "메뉴", "찾기", "바로")
] + [Labelled(f"날씨 {place}", None, OUT_OF_SCOPE) for place in ("서울", "부산", "강릉", "제주", "대전")]  # fmt: skip
NULL_PHRASES = ["오늘 날씨", "내일 날씨 어때", "서울 날씨"]


@pytest.fixture(scope="package")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data sets in the form of the public ones: 6 pairs, and 12 articles of two passages with a question each."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "korsts").mkdir()
    pairs = [("가나다", "가나다", 5.0), ("가나다", "가나라", 4.0), ("가나다", "가마바", 2.0), ("가나다", "사아자", 0.0)]
    pairs += [("마바사", "마바사", 5.0), ("마바사", "차카타", 0.0)]
    rows = [f"g\tf\ty\t{i}\t{score}\t{one}\t{two}" for i, (one, two, score) in enumerate(pairs)]
    header = "genre\tfilename\tyear\tid\tscore\tsentence1\tsentence2"
    (folder / "korsts" / "sts-test.tsv").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    articles = []
    for i, letter in enumerate("가나다라마바사아자차카타"):
        texts = [letter * 3 + other * 2 + " 물결 나무" for other in "호휴"]
        asked = [{"context": text, "qas": [{"question": text[:5] + "?", "id": text, "answers": []}]} for text in texts]
        articles.append({"title": f"article {i}", "paragraphs": asked})
    (folder / "korquad").mkdir()
    content = json.dumps({"version": "1", "data": articles}, ensure_ascii=False)
    (folder / "korquad" / "KorQuAD_v1.0_dev.json").write_text(content, encoding="utf-8")
    return folder


@pytest.fixture(scope="package")
def folders(tmp_path_factory: pytest.TempPathFactory, data: Path) -> dict[str, Path]:
    """Two encoders: one sees each character of a text, one sees nothing."""
    root = tmp_path_factory.mktemp("encoders")
    texts = [file.read_text(encoding="utf-8") for file in (*data.rglob("*.*"), *ROOT.glob("catalogs/*.jsonl"))]
    return {name: tiny.save(root / name, texts, sees=name == "sees") for name in ("blind", "sees")}
