"""앱에 없는 것: what the app does not do is written, found, changed and brought back like services."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

from console.app import make_app
from console.settings import Settings
from store.store import Store
from tests.console.conftest import SECRET, Person, fields


def test_a_null_topic_is_made_found_changed_deleted_and_brought_back(me: Person, store: Store) -> None:
    made = me.send("/null-topics/new", {"name": "날씨", "phrases": "오늘 날씨\n\n 비 와? "})
    path = re.fullmatch(r"(/null-topics/\d+)\?done=created", made.headers["location"])[1]  # type: ignore[index]
    assert store.null_topics()[0].value.phrases == ("오늘 날씨", "비 와?")
    assert path in me.page("/null-topics?q=비")
    assert path not in me.page("/null-topics?q=눈", HX_Request="true")
    me.send(path, {**me.form(path), "name": "오늘의 날씨"})
    assert "<del>날씨</del>" in me.page(path)
    assert me.send(path, me.form(path)).headers["location"].endswith("?done=unchanged")
    stale = {"version": "1"}
    assert me.send(f"{path}/delete", stale).status_code == 409
    assert me.send(f"{path}/delete", fields(me.page(f"{path}/delete"), "")).status_code == 303
    me.page(path, 404)
    number = re.search(r'action="/history/(\d+)/restore"', me.page("/audit"))[1]  # type: ignore[index]
    me.send(f"/history/{number}/restore")
    assert store.null_topics()[0].value.name == "오늘의 날씨"


def test_a_phrase_of_a_service_is_no_null_phrase_and_the_form_says_so(me: Person, store: Store) -> None:
    refused = me.send("/null-topics/new", {"name": "송금", "phrases": "예약 이체\n달나라 송금"})
    assert refused.status_code == 422
    assert "예약 이체" in re.search(r'id="phrases-error">(.*?)</p>', refused.text)[1]  # type: ignore[index]
    assert fields(refused.text, "/null-topics/new")["phrases"] == "예약 이체\n달나라 송금"
    assert me.send("/null-topics/new", {"name": "", "phrases": ""}).status_code == 422
    assert store.null_topics() == []


def test_a_query_from_elsewhere_fills_the_form_and_saves_nothing_by_itself(me: Person, store: Store) -> None:
    html = me.page("/null-topics/new?name=로또&phrases=로또 번호%0A당첨")
    assert fields(html, "/null-topics/new")["phrases"] == "로또 번호\n당첨"
    assert store.null_topics() == []


def test_the_page_says_which_files_a_publish_adds(settings: Settings, store: Store) -> None:
    app = make_app(dataclasses.replace(settings, null_topics=(Path("/etc/null_topics.jsonl"),)), store, SECRET)
    assert "null_topics.jsonl" in Person(app).page("/null-topics")
