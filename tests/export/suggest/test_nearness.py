"""Where a proposal lies among the catalog's texts by the real encoder, and what a model is told to stay off."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from malgil_core.catalog import reading
from malgil_core.catalog.reading import Catalog, NullTopic
from malgil_core.index.writer import Vectors

from export.catalog import embedding
from export.suggest.command import Remembering
from export.suggest.nearness import Nearness
from tests.conftest import CATALOG as FINANCE
from tests.index import CATALOG, service


@pytest.fixture(scope="module")
def embed(repository: Path) -> Remembering:
    return Remembering(embedding.offline(repository), {})


@pytest.fixture(scope="module")
def finance() -> Catalog:
    topics = [NullTopic("날씨", ("오늘 날씨", "내일 비 와?")), NullTopic("게임", ("게임 머니 충전",))]
    return Catalog(reading.read(FINANCE), topics)


@pytest.mark.slow
def test_a_phrase_of_another_service_is_shown_with_it_and_not_dropped(finance: Catalog, embed: Remembering) -> None:
    exchange = next(one for one in finance.services if one.service_id == "exchange")
    nearness = Nearness(finance, exchange, embed)
    good, other, null, there = nearness.proposals(
        ["환전하는 메뉴 어디 있어?", "계좌이체로 송금하기", "내일 비가 올까?", "환전"],
        [None, None, None, ("duplicate", "환전 (환전)")],
    )
    assert (good.verdict, good.own.name, good.reason) == ("good", exchange.name, "")
    assert good.other is not None
    assert good.own.cosine > good.other.cosine
    assert other.verdict == "nearer_other"
    assert other.other is not None
    assert other.other.service_id is not None
    assert other.other.service_id.startswith("transfer")
    assert other.other.name in other.reason
    assert null.verdict == "nearer_null"
    assert null.reason == "nearer to null topic 날씨"
    assert (there.verdict, there.detail) == ("duplicate", "환전 (환전)")
    assert there.own.cosine == pytest.approx(1, abs=1e-3)


@pytest.mark.slow
def test_a_model_is_told_to_stay_off_the_services_that_lie_nearest(finance: Catalog, embed: Remembering) -> None:
    transfer = next(one for one in finance.services if one.service_id == "transfer")
    neighbours = Nearness(finance, transfer, embed).neighbours()
    assert len(neighbours) == 8
    assert {"transfer-account", "transfer-contact"} & {one.service.service_id for one in neighbours}
    assert transfer.id not in {one.service.id for one in neighbours}
    assert [one.cosine for one in neighbours] == sorted((one.cosine for one in neighbours), reverse=True)
    assert all(1 <= len(one.phrases) <= 3 for one in neighbours)


def axes(texts: Sequence[str]) -> Vectors:
    """A vector for each text, by its first letter: texts that begin alike are the same to it."""
    vectors = np.zeros((len(texts), 64), np.float32)
    for row, text in enumerate(texts):
        vectors[row, ord(text[0]) % 64] = 2.0
    return vectors


def test_a_new_service_alone_in_a_catalog_gets_phrases_too() -> None:
    nearness = Nearness(Catalog([]), service(1, "송금"), axes)
    assert nearness.neighbours() == []
    (proposal,) = nearness.proposals(["송금 어디"], [None])
    assert (proposal.verdict, proposal.other) == ("good", None)
    assert proposal.own.cosine == pytest.approx(1)
    assert proposal.as_dict()["other"] is None


def test_the_service_as_it_is_edited_is_not_its_own_neighbour() -> None:
    edited = service(7, "송금", "송금하기")
    nearness = Nearness(Catalog(list(CATALOG)), edited, axes)
    assert 7 not in {one.service.id for one in nearness.neighbours()}
    (proposal,) = nearness.proposals(["송금 어디"], [None])
    assert proposal.own.phrase in edited.texts


def test_a_tie_with_another_service_is_a_conflict() -> None:
    catalog = Catalog([service(1, "송금", "이체"), service(2, "송장", "환전")])
    (proposal,) = Nearness(catalog, catalog.services[0], axes).proposals(["송금 어디"], [None])
    assert proposal.verdict == "nearer_other"


def test_no_phrase_needs_no_encoder() -> None:
    assert Nearness(Catalog([]), service(1, "송금"), axes).proposals([], []) == []


def test_a_text_is_embedded_once_in_a_run_for_many_services() -> None:
    calls: list[str] = []

    def embed(texts: Sequence[str]) -> Vectors:
        calls.extend(texts)
        return axes(texts)

    remembering = Remembering(embed, {"이체": np.ones(64, np.float32) / 8})
    catalog = Catalog(list(CATALOG))
    for one in CATALOG:
        Nearness(catalog, one, remembering)
    assert sorted(calls) == sorted({text for one in CATALOG for text in one.texts} - {"이체"})
