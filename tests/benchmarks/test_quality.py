"""The quality table counts what it says, on the project's own queries and the live server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import quality
from benchmarks.__main__ import CATALOG, QUERIES, main
from export.catalog import read as read_catalog
from server.launcher import Server


def test_recall_and_mrr_are_those_of_the_textbook() -> None:
    labelled = [quality.Labelled(str(i), 7, "paraphrase") for i in range(4)]
    ranks = [[7, 1], [1, 2, 7], [1, 2, 3, 4, 5, 7], [1]]
    assert quality.score(labelled, ranks)["paraphrase"] == {
        "recall@1": 0.25,
        "recall@5": 0.5,
        "mrr@10": pytest.approx((1 + 1 / 3 + 1 / 6 + 0) / 4),
        "queries": 4,
    }


def test_bm25_finds_a_phrase_by_its_own_words_and_never_a_closed_service() -> None:
    services = read_catalog(CATALOG)
    texts = {service.phrases[0]: service for service in services}
    ranks = quality.bm25(services, list(texts))
    closed = {service.id for service in services if not service.open}
    assert not closed & {found for ids in ranks for found in ids}
    firsts = [ids[:1] == [s.id] for s, ids in zip(texts.values(), ranks, strict=True) if s.open]
    assert sum(firsts) / len(firsts) > 0.95


def test_labelled_queries_point_at_open_services_and_none_is_a_phrase_of_the_catalogue() -> None:
    services = read_catalog(CATALOG)
    opened = {service.id for service in services if service.open}
    phrases = {text.replace(" ", "").lower() for service in services for text in service.texts}
    labelled = quality.read(QUERIES)
    assert sum(one.kind == "paraphrase" for one in labelled) >= 60
    assert len({one.query for one in labelled}) == len(labelled)
    for one in labelled:
        assert one.query.replace(" ", "").lower() not in phrases, one
        assert (one.id is None) == (one.kind == quality.OUT_OF_SCOPE), one
        assert one.id is None or one.id in opened, one


def test_the_live_search_is_better_than_bm25_on_paraphrases(server: Server, tmp_path: Path) -> None:
    written = tmp_path / "quality.json"
    assert main(["quality", "--url", server.grpc_url, "--json", str(written)]) == 0
    measured = json.loads(written.read_text())
    paraphrase = measured["paraphrase"]
    assert paraphrase["malgil"]["recall@1"] > paraphrase["bm25"]["recall@1"]
    assert paraphrase["malgil"]["recall@5"] > paraphrase["bm25"]["recall@5"]
