"""Warnings on phrases: each kind where it is due, on its line, and none on a catalog's ordinary phrases."""

from __future__ import annotations

import time
import unicodedata

import pytest
from malgil_core.catalog.reading import Catalog, Service

from console.draft import Draft
from console.warnings import check

LONG = "송금 " * 600
HERS = "우리 엄마 통장으로 생활비를 부쳐 드리고 싶어요"


@pytest.fixture(scope="module")
def service(finance: Catalog) -> Service:
    return next(one for one in finance.services if one.name == "계좌번호로 보내기")


def kinds(draft: Draft, service: Service, *phrases: str) -> list[tuple[int, str]]:
    return [(warning.line, warning.kind) for warning in check(draft, service.id, service.name, phrases)]


@pytest.mark.parametrize(
    ("phrases", "expected"),
    [
        (["통장으로 돈 부치기", "  ", ""], []),
        (["통장으로 돈 부치기", "\u3164\u200b"], [(1, "blank")]),
        (["?!…"], [(0, "symbols")]),
        (["가" * 2731], [(0, "long")]),
        ([LONG], [(0, "cut")]),
        (["통장으로 돈 부치기", "통장으로 돈 부치기"], [(1, "twice_exactly")]),
        (["통장으로 돈 부치기", unicodedata.normalize("NFD", "통장으로 돈 부치기")], [(1, "twice_exactly")]),
        (["통장으로 돈 부치기", "통장으로돈 부치기!"], [(1, "twice")]),
        (["ATM 송금하기", "atm  송금하기"], [(1, "twice")]),
        (["계좌번호로  보내기"], [(0, "name")]),
        (["오늘 날씨"], [(0, "null")]),
        (["대환대출"], [(0, "elsewhere")]),
        (["다른 은행으로 대출 이동하기"], [(0, "near")]),
        ([HERS, HERS.replace("생활비를", "생활비")], [(1, "no_effect")]),
        (["통장으로 돈 부치기"], []),
    ],
)
def test_a_phrase_that_does_harm_or_nothing_is_named(
    drafted: Draft, service: Service, phrases: list[str], expected: list[tuple[int, str]]
) -> None:
    assert kinds(drafted, service, *phrases) == expected


def test_the_nearest_phrase_its_service_and_how_near_it_is_are_told(drafted: Draft, service: Service) -> None:
    (warning,) = check(drafted, service.id, service.name, ["다른 은행으로 대출 이동하기"])
    assert "‘다른 은행으로 대출 이동’ (대출 > 대출 갈아타기" in warning.text
    assert "비슷한 정도 0.9" in warning.text


def test_a_sample_of_ordinary_phrases_is_not_drowned_in_warnings(drafted: Draft, finance: Catalog) -> None:
    warned = [warning for one in finance.services for warning in check(drafted, one.id, one.name, one.phrases)]
    phrases = sum(len(one.phrases) for one in finance.services)
    near = [warning for warning in warned if warning.kind == "near"]
    assert 1 <= len(near) <= 0.03 * phrases
    assert len(warned) <= 0.05 * phrases


def test_a_changed_line_is_checked_while_it_is_typed(drafted: Draft, service: Service) -> None:
    check(drafted, service.id, service.name, service.phrases)
    seconds = []
    for letters in range(1, 15):
        started = time.perf_counter()
        check(drafted, service.id, service.name, [*service.phrases, "엄마 통장에 용돈 넣어 드리기"[:letters]])
        seconds.append(time.perf_counter() - started)
    assert sorted(seconds)[7] < 0.5  # 20 ms on two cores that do nothing else; the benchmark has the figure
