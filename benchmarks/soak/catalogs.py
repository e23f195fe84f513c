"""Catalogues that give away a torn answer: one whose hits do not all belong to the generation that it names.

Names, paths and one phrase of each service carry the generation's number. TOPICS stand in every generation, so that
their vectors are kept from one to the next, but each with another service: the search for a topic must find, by meaning
and by letters, the service that has it in the generation that answers. Generations in turn have more and fewer
services, other ids, and other services that are closed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

from malgil import SearchResult
from malgil_core.catalog.reading import Service

SURFACE = "RECO"
TOPICS = (
    "다른 사람 계좌로 돈 보내기",
    "미국 달러를 원화로 바꾸기",
    "신용카드를 잃어버려서 정지하기",
    "집 살 때 빌리는 주택 담보 대출",
    "매달 조금씩 모으는 적금 들기",
    "주식 사고팔기",
    "자동차 보험료 견적 보기",
    "연말정산 서류 내려받기",
    "지문으로 로그인하기",
    "걸으면 포인트가 쌓이는 만보기",
    "병원비 영수증으로 보험금 청구하기",
    "내 신용 점수 올리는 법",
    "해외여행 가서 쓸 카드 만들기",
    "전기 요금과 가스비 내기",
    "친구들과 밥값 나눠 내기",
    "비밀번호를 잊어서 다시 만들기",
    "상담원과 채팅하기",
    "가까운 현금 지급기 찾기",
)


@dataclass(frozen=True)
class Asked:
    """One search: its query is a topic."""

    query: str
    top_k: int | None = None  # None: the server's own 10
    surface: str | None = None


@dataclass(frozen=True)
class Marked:
    """The catalogue of one generation."""

    number: int

    @cached_property
    def services(self) -> tuple[Service, ...]:
        """From 14 to 24, of which every sixth is closed; never as many as in the generation before."""
        mark, count = f"{self.number}판", 14 + self.number * 5 % 11
        opened = [i for i in range(count) if not self._is_closed(i)]
        topics: dict[int, list[str]] = {i: [] for i in range(count)}
        for i, topic in enumerate(TOPICS):
            topics[opened[(i + 11 * self.number) % len(opened)]].append(topic)
        return tuple(
            Service(
                id=1000 + i + self.number % 5,
                parent_id=None,
                service_id=f"menu-{i}",
                name=f"메뉴 {i} {mark}",
                path=f"전체 > {mark} > 메뉴 {i}",
                open=not self._is_closed(i),
                phrases=(f"{mark}에 있는 {i}번 메뉴", *topics[i]),
                memo="",
                surfaces=(SURFACE,) if i % 2 else (),
                threshold=None,
            )
            for i in range(count)
        )

    @cached_property
    def owners(self) -> dict[str, Service]:
        """Topic → the service that has it."""
        return {phrase: service for service in self.services for phrase in service.phrases if phrase in TOPICS}

    def shown(self, surface: str | None) -> dict[int, Service]:
        """Id → open service, of those on a surface."""
        return {one.id: one for one in self.services if one.open and (surface is None or surface in one.surfaces)}

    def fault(self, asked: Asked, answer: SearchResult) -> str | None:
        """What in an answer is not of this generation, in a sentence, or None if all of it is."""
        return next(chain(self._wrong_hits(asked, answer), self._wrong_order(asked, answer)), None)

    def _wrong_hits(self, asked: Asked, answer: SearchResult) -> Iterator[str]:
        shown, ids = self.shown(asked.surface), [hit.id for hit in answer]
        wanted = min(asked.top_k or 10, len(shown))
        if len(ids) != wanted or len(set(ids)) < len(ids):
            yield f"the {len(ids)} hits are of the services {ids}, where {wanted} are to be found"
        for hit in answer:
            service = shown.get(hit.id)
            if service is None:
                yield f"id {hit.id} is not among its services"
            elif (hit.name, hit.path) != (service.name, service.path) or hit.phrase not in service.texts:
                yield f"id {hit.id} is {service.name!r}, not {hit.name!r} at {hit.path!r} by {hit.phrase!r}"

    def _wrong_order(self, asked: Asked, answer: SearchResult) -> Iterator[str]:
        scores = [hit.score for hit in answer]
        if scores != sorted(scores, reverse=True):
            yield f"scores do not fall: {scores}"
        owner = self.owners[asked.query]
        if owner.id not in self.shown(asked.surface):
            return
        first = answer[0]
        if (first.id, first.phrase) != (owner.id, asked.query):
            yield f"{asked.query!r} finds id {first.id} by {first.phrase!r} first, not id {owner.id}"
        for part in ("dense", "lexical"):  # a matrix, or letters, of another generation would prefer another service
            values = [getattr(hit, part) for hit in answer]
            if values[0] is not None and values[0] < max(values):
                yield f"{asked.query!r} is nearer to another service by its {part} score: {values}"

    def _is_closed(self, i: int) -> bool:
        return (i + self.number) % 6 == 5
