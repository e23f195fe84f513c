"""A generation with what people chose, and suggestions of it by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from malgil_core.catalog.reading import NullTopic, Service
from malgil_core.index.generation import Generation
from malgil_core.index.reader import folder_of, load_texts
from malgil_core.index.writer import publish
from malgil_core.suggest.suggester import Suggester
from malgil_core.suggest.types import SuggestOptions

from tests.index import ENCODER, embed, service

SERVICES = (
    service(100, "송금", "이체", "돈 보내기", "송금 메뉴 어디 있어", surfaces=("SEARCH", "RECO")),
    service(101, "송금 한도", "하루에 얼마까지 보낼 수 있어", surfaces=("SEARCH",)),
    service(102, "예약 송금", "예약 이체", surfaces=("SEARCH",)),
    service(205, "카드 결제일", "카드값 언제 나가", "결제일 바꾸기", surfaces=("SEARCH", "RECO")),
    service(206, "카드 분실 신고", "카드 잃어버렸어", surfaces=("SEARCH",)),
    service(207, "더치페이", "밥값 나누기", surfaces=("SEARCH",)),
    service(208, "IRP 계좌", "연금 계좌", surfaces=("SEARCH",)),
    service(900, "송편 주문", "송편 보내기", open=False, surfaces=("SEARCH",)),
)
NULL_TOPICS = (NullTopic("날씨", ("송도 날씨", "오늘 날씨")), NullTopic("그 밖", ("ㄷㅊㅍㄱ", "카드 분신")))
Make = Callable[..., Suggester]


def line(text: str, id: int, count: int = 50, **more: Any) -> dict[str, Any]:
    """A line of what people chose."""
    return {"text": text, "id": id, "chosen": count, "persons": 30, "days": 7, **more}


def generation_of(index: Path, services: Sequence[Service], *chosen: dict[str, Any]) -> Generation:
    """A generation, published and loaded for suggestions."""
    number = publish(services, index, ENCODER, embed, null_topics=NULL_TOPICS, chosen=chosen)
    return load_texts(folder_of(index, number))


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Makes a suggester of SERVICES, or of others, with lines of what people chose."""

    def made(*chosen: dict[str, Any], services: Sequence[Service] = SERVICES) -> Suggester:
        return Suggester(generation_of(tmp_path, services, *chosen))

    return made


def texts(suggester: Suggester, typed: str, top_k: int = 5, surface: str | None = None) -> list[str]:
    """The texts that are suggested."""
    return [one.text for one in suggester.suggest([typed], [SuggestOptions(top_k, surface)])[0]]
