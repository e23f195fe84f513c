"""서비스 전체 보기: every service can be found, by tree, by text and by filter, at any size."""

from __future__ import annotations

import json
import re
import time
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from console.app import Console, make_app
from console.settings import Settings
from store.store import Store
from tests.console.conftest import CATALOG, SECRET, Person


def names(html: str) -> list[str]:
    """The ids of the services that a page links to, in order."""
    return re.findall(r'href="/services/(\d+)"', html[html.find('id="list"') :])


def test_the_first_page_is_the_tree_with_counts_and_what_is_folded_is_not_sent(me: Person) -> None:
    assert me.http.get("/").headers["location"] == "/services"
    html = me.page("/services")
    assert "서비스 <strong>150</strong>개" in html
    assert "오픈 142개" in html
    assert "100" in names(html)
    assert "101" not in names(html)


def test_a_branch_opens_with_and_without_javascript(me: Person) -> None:
    below = me.page("/services/100/below", HX_Request="true")
    assert "101" in re.findall(r'href="/services/(\d+)"', below)
    assert "<html" not in below
    assert "101" in names(me.page("/services?at=100"))
    assert 'href="/services?at=100"' in me.page("/services")


@pytest.mark.parametrize(
    ("query", "id"), [("계좌번호로", "101"), ("transfer-account", "101"), ("타행 이체", "101"), ("101", "101")]
)
def test_a_service_is_found_by_its_name_its_id_and_its_phrases_without_a_server(
    query: str, id: str, me: Person
) -> None:
    html = me.page(f"/services?q={query}")
    assert names(html)[0] == id
    assert "글자가 그대로" in html


def test_the_list_alone_is_sent_to_htmx_as_one_types(me: Person) -> None:
    html = me.page("/services?q=이체", HX_Request="true")
    assert "<html" not in html
    assert "개를 찾았어요" in html


def test_filters_narrow_the_list_together(me: Person, store: Store) -> None:
    closed = [stored.value for stored in store.services() if not stored.value.open]
    assert set(names(me.page("/services?open=no"))) == {str(service.id) for service in closed}
    reco = [str(s.value.id) for s in store.services() if "RECO" in s.value.surfaces and s.value.open]
    assert set(names(me.page("/services?surface=RECO&open=yes"))) == set(reco)
    assert names(me.page("/services?bare=1")) == []
    me.send("/services/103", {**me.form("/services/103"), "phrases": ""})
    assert names(me.page("/services?bare=1")) == ["103"]


def test_only_what_has_changed_after_the_last_publish_is_changed(me: Person, store: Store) -> None:
    store.record("publish", "catalog", "generation 1", by="minji", note=f"revision {store.revision()}")
    assert names(me.page("/services?changed=1")) == []
    me.send("/services/103", {**me.form("/services/103"), "memo": "바뀜"})
    assert names(me.page("/services?changed=1")) == ["103"]
    assert "게시 뒤에 바뀐 서비스 1개" in me.page("/services")
    store.record("publish", "catalog", "generation 2", by="minji", note=f"revision {store.revision()}")
    assert names(me.page("/services?changed=1")) == []


def test_what_changed_while_a_publish_ran_is_still_to_be_published(me: Person, store: Store) -> None:
    snapshot = store.revision()
    me.send("/services/103", {**me.form("/services/103"), "memo": "바뀜"})
    store.record("publish", "catalog", "generation 1", by="minji", note=f"revision {snapshot}")
    assert names(me.page("/services?changed=1")) == ["103"]


class Drafted:
    """A draft whose search answers what the test says: the real one needs a server."""

    state = SimpleNamespace(generation=object())

    def __init__(self, *ids: int) -> None:
        self.ids = ids

    def search(self, query: str, **_: Any) -> Any:
        if not self.ids:
            raise ConnectionError("no server")
        hits = [SimpleNamespace(id=id, score=1 - at / 10) for at, id in enumerate(self.ids)]
        return SimpleNamespace(hits=hits[:1], missing=hits[1:])

    def changed(self) -> None: ...


def test_malgils_own_order_comes_first_and_what_holds_the_text_is_there_too(settings: Settings, store: Store) -> None:
    html = Person(make_app(settings, store, SECRET, draft=Drafted(103, 102))).page("/services?q=타행 이체")
    assert names(html)[:3] == ["103", "102", "101"]
    assert "말길이 찾은 순서" in html


def test_without_a_server_the_list_is_still_searched(settings: Settings, store: Store) -> None:
    html = Person(make_app(settings, store, SECRET, draft=Drafted())).page("/services?q=타행 이체")
    assert names(html) == ["101"]


def test_the_downloaded_catalog_is_the_file_that_was_imported(me: Person) -> None:
    assert me.http.get("/catalog.jsonl").content == CATALOG.read_bytes()


@pytest.fixture
def many(settings: Settings, store: Store) -> Console:
    """A console with 5,000 services: 20 branches of 20, one of 600, and 4,000 without a parent."""
    lines = []
    for id in range(5000):
        parent = None if id < 4000 else (0 if id < 4600 else id % 20)
        line = {
            "id": id,
            "parent_id": parent,
            "service_id": f"s{id}",
            "name": f"서비스 {id}",
            "path": f"서비스 {id}",
            "open": True,
        }
        lines.append(json.dumps({**line, "phrases": [f"{id}번 문장", f"{id}번째 기능 찾기"]}))
    store.replace("\n".join(lines).encode(), "many.jsonl", by="test")
    return make_app(settings, store, SECRET)


def test_five_thousand_services_are_sent_in_parts_none_of_which_is_left_out(many: Console) -> None:
    person = Person(many)
    found: set[str] = set()
    html = person.page("/services")
    assert len(html) < 300_000
    while True:
        found |= set(re.findall(r'href="/services/(\d+)"', html))
        more = re.search(r'hx-get="(/services/roots\?offset=\d+)"', html)
        if more is None:
            break
        html = person.page(more[1], HX_Request="true")
    assert found == {str(id) for id in range(4000)}
    assert re.search(r'hx-get="/services/0/below\?offset=200"', person.page("/services/0/below", HX_Request="true"))
    assert "5,000" in person.page("/services?open=yes")


def test_no_page_takes_time_that_grows_with_what_it_does_not_show(many: Console) -> None:
    person = Person(many)
    for path in (
        "/services",
        "/services?q=4321번",
        "/services/4999",
        "/services/0/below",
        "/services/parents?parent_id=서비스",
    ):
        person.page(path)  # once, to read the services
        started = time.perf_counter()
        person.page(path)
        assert time.perf_counter() - started < 2, path  # a bound for faults; the figure is a benchmark's


def test_services_that_are_each_others_parents_are_shown_not_followed_for_ever(
    store: Store, settings: Settings
) -> None:
    from console.view import Views

    view = Views(store).current()
    first, second = view.by_id[100], view.by_id[101]
    loop = {**view.by_id, 100: replace(first, value=replace(first.value, parent_id=101)), 101: second}
    looped = replace(view, by_id=loop)
    assert [above.value.id for above in looped.ancestors(100)] == [101]
    assert view.below(100) >= {100, 101}
