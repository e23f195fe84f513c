"""The draft answers what a server answers that serves the same catalog, explains it, and follows the store."""

from __future__ import annotations

import dataclasses
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import malgil
import numpy as np
import pytest
from malgil_core.catalog.reading import Catalog, NullTopic, Service
from malgil_core.encoder import EncoderMetadata

from benchmarks.documents.proxy import Proxy
from console.draft import Draft, DraftError
from export import ROOT
from export.catalog import labelled
from server.launcher import Server
from tests.console.draft.conftest import Memory
from tests.export.catalog.test_settings import content
from tests.live import until

TYPED = ["ㅅ", "ㅅㄱ", "소", "송", "송ㄱ", "thdrma", "카드 ㅂㅅ", "aud", "ATM", "돈", "오늘 날씨", "ㅁㄴㅇㄹ", "?", "1"]


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[malgil.SearchClient]:
    with malgil.SearchClient(server.grpc_url, timeout=30) as made:
        yield made


def queries() -> list[str]:
    files = ("finance_queries.jsonl", "finance_slips.jsonl")
    found = [one.query for file in files for one in labelled.read(ROOT / "catalogs" / file)]
    return [*TYPED, *found[::6]]


def same(draft: Draft, client: malgil.SearchClient, query: str, **options: Any) -> None:
    answer = draft.search(query, **options)
    live = client.search(query, explain=True, **{**options, "null_phrases": options.pop("null", None)})
    fields = [field.name for field in dataclasses.fields(malgil.Hit) if field.name != "team"]
    assert [{name: getattr(hit, name) for name in fields} for hit in answer.hits] == [
        {name: getattr(hit, name) for name in fields} for hit in live
    ]
    assert answer.refused_by == live.refused_by
    null = answer.null and (answer.null.topic, answer.null.phrase, answer.null.score)
    assert null == (live.null and (live.null.topic, live.null.phrase, live.null.score))


def test_what_is_tested_is_what_the_server_answers_hit_by_hit(drafted: Draft, client: malgil.SearchClient) -> None:
    refused, found = set(), 0
    for query in queries():
        same(drafted, client, query)
        answer = drafted.search(query)
        refused.add(answer.refused_by)
        found += len(answer.hits)
    assert refused == {"", "null"}
    assert found > 500


@pytest.mark.parametrize("surface", ["HOME", "RECO"])
def test_so_it_is_on_a_surface_and_with_other_numbers_of_hits(
    drafted: Draft, client: malgil.SearchClient, surface: str
) -> None:
    for query in queries()[::5]:
        same(drafted, client, query, surface=surface, top_k=3)
        same(drafted, client, query, surface=surface, top_k=200)


class Counting(malgil.SearchClient):
    """A client that remembers which phrases it embedded, and may be made to wait."""

    def __init__(self, url: str) -> None:
        super().__init__(url, timeout=30)
        self.embedded: list[str] = []
        self.go = threading.Event()
        self.go.set()

    def embed(self, text: Any, **options: Any) -> Any:
        assert self.go.wait(30)
        if not isinstance(text, str):
            self.embedded += text
        return super().embed(text, **options)


@pytest.fixture
def counting(server: Server) -> Iterator[Counting]:
    made = Counting(server.grpc_url)
    yield made
    made.close()


def small(finance: Catalog, count: int = 12) -> Catalog:
    services = [replace(one, parent_id=None) for one in finance.services[:count]]
    return Catalog(services, finance.null_topics[:3])


Make = Callable[[Catalog], tuple[Draft, Memory]]


@pytest.fixture
def make(counting: Counting, index: Path, repository: Path) -> Iterator[Make]:
    """A draft of a catalog of one's own."""
    made: list[Draft] = []

    def of(catalog: Catalog) -> tuple[Draft, Memory]:
        store = Memory(catalog)
        draft = Draft(store, lambda: counting, index, repository)
        made.append(draft)
        draft.refresh()
        assert draft.state.problem is None
        return draft, store

    yield of
    for draft in made:
        counting.go.set()
        draft.stop()


def changed(catalog: Catalog, id: int, **fields: Any) -> Catalog:
    services = [replace(one, **fields) if one.id == id else one for one in catalog.services]
    return replace(catalog, services=services)


def test_only_texts_that_nobody_knows_are_embedded(make: Make, counting: Counting, finance: Catalog) -> None:
    draft, store = make(small(finance))
    assert counting.embedded == []  # the generation that serves has them all
    first = store.catalog().services[0]
    store.set(changed(store.catalog(), first.id, phrases=(*first.phrases, "비둘기로 돈을 날려 보내기")))
    draft.refresh()
    assert set(counting.embedded) == {"비둘기로 돈을 날려 보내기"}
    counting.embedded.clear()
    assert draft.search("비둘기로 돈을 날려 보내기").hits[0].id == first.id
    store.set(changed(store.catalog(), first.id, memo="메모"))
    draft.refresh()
    assert counting.embedded == ["비둘기로 돈을 날려 보내기"]  # as a query
    assert draft.state.revision == 3


def test_a_service_that_is_not_shown_says_why(make: Make, finance: Catalog) -> None:
    base = small(finance)
    service = next(one for one in base.services if one.name == "계좌번호로 보내기")
    draft, store = make(base)
    reasons: dict[str, str] = {}
    cases: dict[str, dict[str, Any]] = {
        "closed": {"open": False},
        "threshold": {"threshold": 1.0},
        "surface": {"surfaces": ("RECO",)},
        "": {},
    }
    for case, fields in cases.items():
        store.set(changed(base, service.id, **fields))
        draft.refresh()
        answer = draft.search("계좌이체 하기", surface="HOME")
        found = [hit for hit in answer.missing if hit.id == service.id]
        assert (service.id in [hit.id for hit in answer.hits]) is not bool(found)
        reasons[case] = found[0].reason if found else ""
    assert reasons == {case: case for case in cases}


def test_an_empty_answer_names_the_null_phrase_that_won(drafted: Draft) -> None:
    answer = drafted.search("내일 비 와?")
    assert answer.hits == []
    assert answer.null
    assert (answer.null.topic, answer.null.phrase, answer.null.refused_by) == ("날씨", "내일 비 와?", "null")
    assert answer.null.score > answer.null.best + answer.null.margin
    assert {hit.reason for hit in answer.missing} == {"null"}
    assert drafted.search("내일 비 와?", null=False).hits


def test_searches_go_on_while_a_change_is_taken_up(make: Make, counting: Counting, finance: Catalog) -> None:
    draft, store = make(small(finance))
    draft.search("이체")  # its vector is kept
    draft.start()
    counting.go.clear()
    first = store.catalog().services[0]
    store.set(changed(store.catalog(), first.id, phrases=("비둘기로 돈을 날려 보내기",)))
    draft.changed()
    until(lambda: draft.state.building)
    answer = draft.search("이체")
    assert (answer.revision, draft.state.revision) == (1, 1)
    assert answer.hits
    counting.go.set()
    until(lambda: draft.state.revision == 2 and not draft.state.building)
    assert draft.search("이체").revision == 2


def test_saves_in_a_row_are_taken_up_once(
    make: Make, finance: Catalog, monkeypatch: pytest.MonkeyPatch, counting: Counting
) -> None:
    draft, store = make(small(finance))
    built: list[int] = []
    inner = draft._builder.build

    def counted(*given: Any) -> Any:
        built.append(1)
        return inner(*given)

    monkeypatch.setattr(draft._builder, "build", counted)
    draft.start()
    for number in range(5):
        store.set(changed(store.catalog(), store.catalog().services[0].id, memo=f"메모 {number}"))
        draft.changed()
    until(lambda: draft.state.revision == 6)
    assert len(built) <= 2


def test_a_login_is_no_new_draft(make: Make, finance: Catalog) -> None:
    draft, store = make(small(finance))
    before = draft.state.generation
    store.set(store.catalog())
    draft.refresh()
    assert draft.state.revision == 2
    assert draft.state.generation is before


def test_without_a_server_the_draft_says_so_and_comes_back_by_itself(
    server: Server, tmp_path: Path, repository: Path, finance: Catalog
) -> None:
    with Proxy(int(server.grpc_url.rpartition(":")[2])) as proxy:
        proxy.close_all()
        url = proxy.uri.removeprefix("http://")
        store = Memory(small(finance))
        draft = Draft(store, lambda: malgil.SearchClient(url, timeout=2, retries=0), tmp_path / "index", repository)
        draft.start()
        until(lambda: draft.state.problem is not None)
        assert draft.state.problem
        assert draft.state.problem.startswith("검색 서버에 연결할 수 없어요.")
        with pytest.raises(DraftError, match="연결할 수 없어요"):
            draft.search("송금")
        proxy.is_open = True
        until(lambda: draft.state.problem is None and draft.state.revision is not None, 60)
        assert draft.search("송금").hits
        draft.stop()


@pytest.mark.parametrize(
    ("query", "words"), [("", "보이는 글자"), ("\u3164", "보이는 글자"), ("가" * 3000, "9,000바이트")]
)
def test_a_query_that_a_server_refuses_is_refused_in_korean(drafted: Draft, query: str, words: str) -> None:
    with pytest.raises(DraftError, match=words):
        drafted.search(query)


def test_a_surface_that_no_open_service_has_is_named(drafted: Draft) -> None:
    with pytest.raises(DraftError, match="‘NOWHERE’"):
        drafted.search("송금", surface="NOWHERE")


def test_the_nearest_phrases_of_other_services_are_named(drafted: Draft, finance: Catalog) -> None:
    account = next(one for one in finance.services if one.name == "계좌번호로 보내기")
    near, none = drafted.line_neighbours(["다른 은행으로 대출 이동하기", "비둘기로 돈을 날려 보내기"], account.id)
    assert near
    assert (near.name, near.phrase) == ("대출 갈아타기", "다른 은행으로 대출 이동")
    assert none is None
    assert drafted.line_neighbours(["다른 은행으로 대출 이동하기"], near.id) == [None]


def test_a_catalog_without_null_topics_or_with_closed_services_alone_is_drafted(make: Make, finance: Catalog) -> None:
    services: Sequence[Service] = [replace(one, open=False) for one in small(finance).services]
    draft, store = make(Catalog(list(services), [NullTopic("없음", ("하지 않는 일",))]))
    answer = draft.search("송금")
    assert answer.hits == []
    assert {hit.reason for hit in answer.missing} == {"closed"}
    store.set(Catalog([replace(one, open=True) for one in services]))
    draft.refresh()
    assert draft.search("송금").hits[0].name == "송금"
    assert np.isfinite(draft.search("송금").hits[0].score)


def test_settings_that_a_publish_takes_count_in_the_draft_and_a_new_file_is_taken_up(
    server: Server, index: Path, repository: Path, finance: Catalog, tmp_path: Path
) -> None:
    def write(floor: float, threshold: float) -> None:
        written = {
            **content(default_threshold=threshold, thresholds=[]),
            "null": {"loss": 0.03, "margin": 2, "floor": floor},
        }
        written["encoder"]["fingerprint"] = EncoderMetadata.of(repository).fingerprint
        file.write_text(json.dumps(written), encoding="utf-8")

    file = tmp_path / "settings.json"
    write(floor=1.0, threshold=0.75)
    access = lambda: malgil.SearchClient(server.grpc_url, timeout=30)  # noqa: E731
    draft = Draft(Memory(small(finance)), access, index, repository, settings_file=file)
    draft.refresh()
    assert draft.state.problem is None
    refused = draft.search("멀리 사는 친구한테 목돈을 부쳐야 하는데")
    assert (refused.refused_by, refused.hits) == ("floor", [])
    assert {hit.reason for hit in refused.missing} == {"floor"}
    assert min(hit.threshold or 0 for hit in refused.missing) == 0.75  # some services have their own
    write(floor=-1, threshold=0.5)
    draft.refresh()
    answer = draft.search("멀리 사는 친구한테 목돈을 부쳐야 하는데")
    assert min(hit.threshold or 0 for hit in answer.hits) == 0.5
    file.write_text("{}", encoding="utf-8")
    draft.refresh()
    assert draft.state.problem
    assert draft.state.problem.startswith("보정 설정 파일을 쓸 수 없어요")
    assert draft.search("이체").hits  # the last good one is searched
    draft.stop()


def test_what_people_type_all_day_does_not_fill_the_memory(
    make: Make, finance: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("console.draft.vectors.KEPT", 8)
    monkeypatch.setattr("console.draft.draft.KEPT_LINES", 8)
    draft, _ = make(small(finance))
    typed = [f"{number}번 계좌" for number in range(20)]
    for query in typed:
        draft.search(query)
        draft.line_neighbours([query], None)
    assert len(draft._embedder._kept) == 8
    assert len(draft._neighbours) == 8
    assert len(draft.line_neighbours(typed, None)) == 20
