"""The quality table counts what it says, on the project's own queries and the live server."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import malgil
import numpy as np
import pytest
from malgil_core.catalog.reading import read as read_catalog
from malgil_core.encoder import EncoderMetadata
from malgil_core.index.writer import Calibrated
from malgil_core.lexical.index import Weights
from malgil_core.ranking.topk import unit
from malgil_core.ranking.types import Floats

from benchmarks import CATALOG, QUERIES, SLIPS, quality
from benchmarks.__main__ import main
from benchmarks.methods import MALGIL, WITH_NULL
from export.catalog import labelled, noise
from export.catalog.labelled import OUT_OF_SCOPE, Labelled
from export.catalog.settings import Choices
from server.launcher import REPOSITORY, Server
from tests.index import service
from training.evaluation.corpus import Corpus, Entry
from training.evaluation.metrics import score

SETTINGS = {
    "version": 1,
    "encoder": {"name": "small", "fingerprint": "5" * 64},
    "created": "2026-11-29T00:00:00Z",
    "weights": asdict(Weights()),
    "default_threshold": None,
    "thresholds": [],
    "null": None,
    "figures": {},
}


def test_recall_and_mrr_are_those_of_the_textbook() -> None:
    queries = [Labelled(str(i), 7, "paraphrase") for i in range(4)]
    ranks = [[7, 1], [1, 2, 7], [1, 2, 3, 4, 5, 7], [1]]
    assert score(queries, ranks)["paraphrase"] == {
        "recall@1": 0.25,
        "recall@5": 0.5,
        "mrr@10": pytest.approx((1 + 1 / 3 + 1 / 6 + 0) / 4),
        "queries": 4,
    }


def test_the_baseline_finds_a_phrase_by_its_own_words() -> None:
    services = read_catalog(CATALOG)
    texts = {service.phrases[0]: service for service in services}
    corpus = Corpus([Entry(s.id, s.texts) for s in services if s.open], lambda t: np.eye(len(t), dtype=np.float32))
    ranks = corpus.by_score(corpus.bm25(list(texts)), threshold=0.0)
    firsts = [ids[:1] == [s.id] for s, ids in zip(texts.values(), ranks, strict=True) if s.open]
    assert sum(firsts) / len(firsts) > 0.95
    assert corpus.by_score(corpus.bm25(["qqqqq"]), threshold=0.0) == [[]]


def test_labelled_queries_point_at_open_services_and_none_is_a_phrase_of_the_catalog() -> None:
    services = read_catalog(CATALOG)
    opened = {service.id for service in services if service.open}
    phrases = {text.replace(" ", "").lower() for service in services for text in service.texts}
    queries = labelled.read(QUERIES)
    assert sum(one.kind == "paraphrase" for one in queries) >= 60
    assert len({one.query for one in queries}) == len(queries)
    for one in queries:
        assert one.query.replace(" ", "").lower() not in phrases, one
        assert (one.id is None) == (one.kind == OUT_OF_SCOPE), one
        assert one.id is None or one.id in opened, one


def test_slips_are_of_the_kinds_that_noise_makes_and_point_at_open_services() -> None:
    opened = {service.id for service in read_catalog(CATALOG) if service.open}
    slips = labelled.read(SLIPS)
    assert {one.kind for one in slips} == set(noise.KINDS) - {noise.FIRST_KEYS}
    assert all(one.id in opened for one in slips)


def test_keys_are_counted_until_the_service_is_in_sight() -> None:
    typed = [Labelled(shown, 1, noise.FIRST_KEYS, "송금") for shown in ("ㅅ", "소", "송")]
    seen, unseen = [1], [2, 3, 4, 1]
    assert quality.keystrokes(typed, {"a": [unseen, seen, seen]}) == ["a: 2.0 of 6.0 keys (33%)"]
    assert quality.keystrokes(typed, {"a": [unseen, unseen, unseen]}) == ["a: 4.0 of 6.0 keys (67%)"]


def test_what_typos_cost_is_measured_on_the_same_queries() -> None:
    queries = [
        Labelled("송금", 1, "keyword"),
        Labelled("환전", 2, "keyword"),
        Labelled("송굼", 1, noise.ONE_TYPO, "송금"),
        Labelled("환젼", 2, noise.ONE_TYPO, "환전"),
        Labelled("대츨", 3, noise.ONE_TYPO),  # written by hand: there is no clean one
    ]
    assert quality.kept(queries, [[1], [2], [1], [5], [5]]) == ["one_typo: 0.500 of 1.000 (50%)"]


def axes(texts: Sequence[str]) -> Floats:
    """An axis for each of these words that a text holds, and a small share of another."""
    words = ("송금", "환전", "날씨")
    return unit(np.array([[*(word in text for word in words), 0.1] for text in texts], dtype=np.float32))


def test_calibrated_weights_are_those_that_queries_are_ranked_with() -> None:
    services = [service(1, "송금", "송금 돈 부치기"), service(2, "환전", "환전 달러 사기")]
    typed = {1: ("돈", "돈 ㅂ", "돈 부", "돈 부치"), 2: ("달", "달ㄹ", "달러", "달러 ㅅ", "달러 사")}
    asked = [Labelled(query, id, kind) for id, queries in typed.items() for query in queries for kind in ("a", "b")]
    tuned = Choices(calibrated=Calibrated(Weights(**{field.name: 0.0 for field in fields(Weights)})))
    plain, without = (quality.measure(services, asked, axes, choices=chosen) for chosen in (None, tuned))
    assert plain.figures["all"][MALGIL]["recall@1"] > plain.figures["all"]["dense"]["recall@1"]
    assert without.figures["all"][MALGIL] == without.figures["all"]["dense"] == plain.figures["all"]["dense"]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"encoder": {"name": "other", "fingerprint": "7" * 64}}, "encoder.fingerprint is 777777777777…, that of the"),
        ({"weights": {}}, "weights.first_prefix is missing"),
    ],
)
def test_settings_of_another_encoder_are_refused_before_a_server_starts(
    tmp_path: Path, change: dict[str, Any], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = tmp_path / "settings.json"
    settings.write_text(json.dumps({**SETTINGS, **change}), encoding="utf-8")
    assert main(["quality", "--settings", str(settings), "--url", "localhost:1"]) == 1
    assert sentence in capsys.readouterr().err


def test_the_settings_that_are_used_are_named_and_count(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings, written = tmp_path / "settings.json", tmp_path / "quality.json"
    metadata = EncoderMetadata.of(REPOSITORY)
    made_for = {"name": metadata.name, "fingerprint": metadata.fingerprint}
    null = {"loss": 0.03, "margin": 2, "floor": -1}
    settings.write_text(json.dumps({**SETTINGS, "encoder": made_for, "null": null}), encoding="utf-8")
    words = ["--settings", str(settings), "--url", server.grpc_url, "--queries", str(QUERIES)]
    assert main(["quality", *words, "--json", str(written)]) == 0
    assert "settings.json of 2026-11-29" in capsys.readouterr().out
    assert json.loads(written.read_text())[OUT_OF_SCOPE][WITH_NULL]["empty"] == 0  # with a margin that nothing exceeds


@pytest.fixture(scope="module")
def measured(server: Server, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, dict[str, float]]]:
    """What `quality --json` writes with the encoder that serves."""
    written = tmp_path_factory.mktemp("quality") / "quality.json"
    assert main(["quality", "--url", server.grpc_url, "--json", str(written)]) == 0
    found: dict[str, dict[str, dict[str, float]]] = json.loads(written.read_text())
    return found


def test_no_kind_of_query_is_answered_worse_than_by_words_or_by_cosine_alone(measured: Any) -> None:
    for kind, by_method in measured.items():
        if kind == OUT_OF_SCOPE:
            continue
        assert set(by_method) == {"bm25", "dense", "linear", MALGIL, WITH_NULL}
        best = max(by_method[method]["recall@5"] for method in ("bm25", "dense"))
        assert by_method["malgil"]["recall@5"] >= best, kind


def test_what_the_app_does_not_do_finds_nothing_at_the_price_that_the_page_tells(measured: Any) -> None:
    assert measured[OUT_OF_SCOPE][WITH_NULL]["empty"] >= 0.75
    assert measured["all"][WITH_NULL]["recall@5"] >= measured["all"][MALGIL]["recall@5"] - 0.03


@pytest.mark.parametrize("kind", [noise.FIRST_KEYS, noise.PREFIX, noise.CHOSUNG, noise.WRONG_LAYOUT])
def test_null_phrases_refuse_no_half_typed_name_no_initials_and_no_wrong_layout(measured: Any, kind: str) -> None:
    assert measured[kind][WITH_NULL] == measured[kind][MALGIL]


@pytest.mark.parametrize("kind", [noise.PREFIX, noise.CHOSUNG, noise.WRONG_LAYOUT])
def test_half_typed_words_initials_and_the_wrong_layout_find_the_service(measured: Any, kind: str) -> None:
    assert measured[kind]["malgil"]["recall@5"] >= 0.9


def test_the_live_search_ranks_as_the_figures_say(server: Server) -> None:
    with malgil.SearchClient(server.grpc_url) as client:
        services = [service for service in read_catalog(CATALOG) if service.open]
        entries = [Entry(one.id, one.texts, one.threshold) for one in services]
        corpus = Corpus(entries, lambda texts: client.embed(list(texts)))
        queries = ["송ㄱ", "ㄷㅊㅍㅇ", "thdrma", "더취패이", "남은 용돈 어디서 봐", "카드 뷴실 싱고"]
        offline = corpus.malgil(client.embed(queries), queries)
        for query, ranked, live in zip(queries, offline, client.search_many(queries, explain=True), strict=True):
            assert [hit.id for hit in live] == corpus.ids([ranked])[0], query
            np.testing.assert_allclose([hit.score for hit in live], ranked.scores, atol=1e-4)
            assert [hit.lexical for hit in live] == pytest.approx(ranked.lexical.tolist(), abs=1e-6)
