"""이력: who did what and when can be found afterwards."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable

import pytest

from console.app import Console
from console.pages import audit
from store.store import Store
from tests.console.conftest import Person


def entries(html: str) -> list[str]:
    """The entries of the page, each as text."""
    return re.findall(r'<li id="change-\d+">(.*?)</li>\s*(?=<li id=|</ol>)', html, re.DOTALL)


def test_changes_logins_downloads_and_publishes_are_there_with_who_and_when(
    app: Console, store: Store, account: Callable[[str, str], str]
) -> None:
    account("minji", "edit")
    person = Person(app)
    person.log_in("minji")
    person.send("/services/103", {**person.form("/services/103"), "memo": "바뀜"})
    person.http.get("/services.csv")
    store.record("publish", "catalog", "generation 7", by="junho")
    html = person.page("/audit")
    texts = [re.sub(r"<[^>]+>|\s+", " ", entry) for entry in entries(html)]
    assert [text.split()[0] for text in texts[:4]] == ["게시", "내려받음", "고침", "로그인"]
    assert "minji" in texts[2]
    assert "오늘" in texts[2]
    assert "바뀜" in texts[2]


def test_the_audit_is_narrowed_by_who_what_kind_words_and_day(me: Person, store: Store) -> None:
    me.send("/services/103", {**me.form("/services/103"), "memo": "바뀜"})
    store.record("publish", "catalog", "generation 7", by="junho", note="150 services")
    assert len(entries(me.page("/audit?by=JUNHO"))) == 1
    (changed,) = entries(me.page("/audit?action=change&kind=service"))
    assert "<ins>바뀜</ins>" in changed
    assert len(entries(me.page("/audit?q=generation"))) == 1
    assert len(entries(me.page("/audit?until=2001-01-01"))) == 0
    assert len(entries(me.page("/audit?since=2001-01-01&action=publish"))) == 1
    assert len(entries(me.page("/audit?since=nonsense&action=publish"))) == 1


def test_old_entries_are_behind_a_link_and_the_csv_has_all_of_the_filter(me: Person, store: Store) -> None:
    for number in range(230):
        store.record("login", "account", f"user{number}", by=f"user{number}")
    seen: list[str] = []
    path = "/audit?action=login"
    while True:
        html = me.page(path)
        seen += re.findall(r"user\d+(?= ·)", html)
        more = re.search(r'href="(/audit\?[^"]*before=\d+)"', html)
        if more is None:
            break
        path = more[1].replace("&amp;", "&")
    assert seen == [f"user{number}" for number in reversed(range(230))]
    rows = list(csv.DictReader(io.StringIO(me.http.get("/audit.csv?action=login").content.decode("utf-8-sig"))))
    assert [row["누가"] for row in rows] == seen


def test_the_csv_without_a_filter_goes_back_to_the_first_change(
    me: Person, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "PAGE", 1)
    monkeypatch.setattr(audit, "READ", 100)
    monkeypatch.setattr(audit, "MOST", 1000)
    rows = list(csv.DictReader(io.StringIO(me.http.get("/audit.csv").content.decode("utf-8-sig"))))
    assert [int(row["번호"]) for row in rows] == [*range(len(store.history(limit=1000)) - 1, 0, -1)]
    assert len(rows) == 151


def test_each_entry_of_the_audit_says_what_kind_of_thing_it_is(me: Person, store: Store) -> None:
    me.send("/services/103", {**me.form("/services/103"), "memo": "바뀜"})
    me.send("/null-topics/new", {"name": "예약 송금", "phrases": "달나라 송금"})
    kinds = [re.search(r'<span class="tag">(.*?)</span>', entry) for entry in entries(me.page("/audit"))[:2]]
    assert [kind and kind[1] for kind in kinds] == ["앱에 없는 것", "서비스"]
