"""검색 데이터: what people did not find, each query one click from a phrase or a null phrase."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from html import unescape
from pathlib import Path

import pytest

from console.app import Console, make_app
from console.search_data import Found, SearchData
from console.settings import Settings
from store.store import Store
from tests.console.conftest import SECRET, Person
from tests.feedback.logs import Log

TRANSFER = 101


def text(html: str) -> str:
    return unescape(re.sub(r"\s+", " ", re.sub("<[^>]+>", " ", html)))


def read(folder: Path) -> SearchData:
    """A log that was read: pages do not wait for a busy machine."""
    data = SearchData(folder)
    for days in (7, 28):
        assert data.of(days, wait=120).state != "reading"
    return data


@pytest.fixture
def events(tmp_path: Path) -> Path:
    """What six people did today."""
    log = Log()
    now = int(time.time() * 1000) - 3_600_000
    for i in range(6):
        who = {"person": f"person {i}", "at_ms": now}
        log.session("우주여행 예약", hits=(), **who)  # type: ignore[arg-type]
        log.session("오늘의 날씨", refused_by="null", **who)  # type: ignore[arg-type]
        log.session("용돈 받는 법", **who)  # type: ignore[arg-type]
        log.session("엄마한테 용돈 부치기", chosen=TRANSFER, **who)  # type: ignore[arg-type]
    log.session("나만 찾는 말", hits=(), person="person 1", at_ms=now)
    log.write(tmp_path / "events", now / 1000)
    return tmp_path / "events"


@pytest.fixture
def filled(settings: Settings, store: Store, events: Path) -> Console:
    """A console with a log."""
    return make_app(settings, store, SECRET, search_data=read(events))


def test_queries_stand_by_what_came_of_them(filled: Console) -> None:
    me = Person(filled)
    shown = {kind: text(me.page(f"/data?kind={kind}")) for kind in ("empty", "refused", "unchosen", "chosen", "asked")}
    assert "우주여행 예약 6명" in shown["empty"]
    assert "오늘의 날씨 6명" in shown["refused"]
    assert "용돈 받는 법 6명" in shown["unchosen"]
    assert "맨 위: 계좌번호로 보내기" in shown["unchosen"]
    assert "엄마한테 용돈 부치기 6명" in shown["chosen"]
    assert "고른 서비스: 계좌번호로 보내기" in shown["chosen"]
    assert all(query in shown["asked"] for query in ("우주여행 예약", "오늘의 날씨", "용돈 받는 법"))
    assert "6명이 25번 찾았어요" in shown["empty"]
    assert not [page for page in shown.values() if "나만 찾는 말" in page]  # of one person alone


def test_a_query_becomes_a_phrase_of_a_service_with_one_click(filled: Console, store: Store) -> None:
    me = Person(filled)
    page = me.page("/data?kind=chosen&days=7")
    assert f'<button name="service" value="{TRANSFER}">‘계좌번호로 보내기’에 넣기</button>' in page
    fields = {"query": "엄마한테 용돈 부치기", "service": str(TRANSFER), "kind": "chosen", "days": "7"}
    answer = me.send("/data/phrase", fields)
    assert (answer.status_code, answer.headers["location"]) == (303, "/data?kind=chosen&days=7&done=accepted")
    assert "엄마한테 용돈 부치기" in store.service(TRANSFER).value.phrases
    page = me.page("/data?kind=chosen&days=7&done=accepted")
    assert "문장을 넣었어요" in page
    assert "‘계좌번호로 보내기’에 넣기" not in page
    assert me.send("/data/phrase", fields).headers["location"].endswith("done=unchanged")
    assert "검색 데이터" in me.page("/audit")


def test_a_query_becomes_a_null_topic_with_one_click(filled: Console, store: Store) -> None:
    me = Person(filled)
    assert "앱에 없는 것에 넣기" in me.page("/data?kind=empty")
    answer = me.send("/data/null", {"query": "우주여행 예약", "kind": "empty", "days": "28"})
    assert answer.headers["location"] == "/data?kind=empty&days=28&done=null"
    assert [topic.value.phrases for topic in store.null_topics()] == [("우주여행 예약",)]
    page = me.page("/data?kind=empty")
    assert "이미 <a" in page
    assert "앱에 없는 것에 넣기" not in page


def test_what_cannot_be_saved_is_said_and_nothing_is_lost(filled: Console, store: Store) -> None:
    me = Person(filled)
    me.send("/data/null", {"query": "우주여행 예약"})
    answer = me.send("/data/phrase", {"query": "우주여행 예약", "service": str(TRANSFER), "kind": "empty"})
    assert answer.status_code == 422
    assert "아직 저장하지 않았어요" in answer.text
    assert me.send("/data/phrase", {"query": "", "service": str(TRANSFER)}).status_code == 422
    assert me.send("/data/phrase", {"query": "송금", "service": "999999"}).status_code == 404
    assert me.send("/data/phrase", {"query": "송금", "service": "x"}).status_code == 404
    assert store.service(TRANSFER).version == 1


def test_who_may_only_read_sees_no_button(filled: Console, account: Callable[[str, str], str]) -> None:
    account("jiho", "read")
    jiho = Person(filled)
    jiho.log_in("jiho")
    page = jiho.page("/data?kind=chosen")
    assert "엄마한테 용돈 부치기" in page
    assert "에 넣기" not in page
    assert jiho.send("/data/phrase", {"query": "송금해 줘", "service": str(TRANSFER)}).status_code == 403
    assert jiho.send("/data/null", {"query": "송금해 줘"}).status_code == 403


def test_without_a_log_the_page_says_how_to_have_one(settings: Settings, store: Store, tmp_path: Path) -> None:
    for folder in (None, tmp_path / "nowhere", tmp_path):
        me = Person(make_app(settings, store, SECRET, search_data=read(folder) if folder else None))
        assert "python -m server --events FOLDER --log-queries" in me.page("/data")


def test_without_queries_in_the_log_the_figures_are_shown_and_how_to_have_queries(
    settings: Settings, store: Store, tmp_path: Path
) -> None:
    log = Log()
    log.session("", chosen=TRANSFER, at_ms=int(time.time() * 1000) - 60_000)
    log.write(tmp_path / "events")
    me = Person(make_app(settings, store, SECRET, search_data=read(tmp_path / "events")))
    page = text(me.page("/data"))
    assert "1명이 1번 찾았어요" in page
    assert "--log-queries" in page


def test_a_query_that_is_markup_is_only_text(settings: Settings, store: Store, tmp_path: Path) -> None:
    log = Log()
    for i in range(5):
        log.session("<script>alert(1)</script>", hits=(), person=f"{i}", at_ms=int(time.time() * 1000) - 60_000)
    log.write(tmp_path / "events")
    me = Person(make_app(settings, store, SECRET, search_data=read(tmp_path / "events")))
    page = me.page("/data")
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<script>alert" not in page


def test_the_log_is_read_once_a_minute_and_never_twice_at_once(events: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = SearchData(events)
    asked: list[int] = []
    real = SearchData._found

    def counted(self: SearchData, days: int) -> Found:
        asked.append(days)
        return real(self, days)

    monkeypatch.setattr(SearchData, "_found", counted)
    assert data.of(28, wait=0).state == "reading"
    assert data.of(28, wait=120).state == "read"
    assert data.of(28).total["searches"] == 25
    assert data.of(7, wait=120).state == "read"
    assert asked == [28, 7]
    monkeypatch.setattr("console.search_data.KEPT_SECONDS", 0.0)
    assert data.of(28).state == "read"  # what is kept, while it is read again


def test_a_fault_of_the_reading_is_told_and_does_not_last(events: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = SearchData(events)
    real = SearchData._found

    def fail(self: SearchData, days: int) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(SearchData, "_found", fail)
    assert data.of(28, wait=120).state == "failed"
    monkeypatch.setattr(SearchData, "_found", real)
    monkeypatch.setattr("console.search_data.KEPT_SECONDS", 0.0)
    deadline = time.monotonic() + 30
    while data.of(28).state != "read":
        assert time.monotonic() < deadline
        time.sleep(0.1)
