"""서비스 관리: what is typed is what is stored, and nothing typed is lost."""

from __future__ import annotations

import json
import re
from html import unescape
from typing import Any

import pytest
from malgil_core.catalog.service import Service

from store.store import Store
from tests.console.conftest import Person, fields

NEW = {
    "service_id": "allowance",
    "name": "용돈 관리",
    "phrases": "용돈 주기\n  아이 용돈 보내기 \n\n",
    "memo": "여러\r\n줄",
    "open": "1",
    "surfaces": ["SEARCH", "HOME"],
    "more_surfaces": "KIDS, SEARCH",
    "threshold": "0.71",
    "parent_id": "100",
}


def created(me: Person, **more: Any) -> int:
    """The id of a new service."""
    form = me.form("/services/new")
    answer = me.send("/services/new", {**form, **NEW, **more})
    assert answer.status_code == 303, answer.text
    return int(re.fullmatch(r"/services/(\d+)\?done=created", answer.headers["location"])[1])  # type: ignore[index]


def test_a_new_service_has_what_was_typed_and_stands_in_its_place(me: Person, store: Store) -> None:
    id = created(me)
    assert store.service(id).value == Service(
        id,
        100,
        "allowance",
        "용돈 관리",
        "송금 > 용돈 관리",
        True,
        ("용돈 주기", "아이 용돈 보내기"),
        "여러\n줄",
        ("SEARCH", "HOME", "KIDS"),
        0.71,
    )
    html = me.page(f"/services/{id}?done=created")
    assert "새로 만들었어요" in html
    assert "송금 &gt; 용돈 관리" in html


def test_an_empty_form_names_every_field_that_is_needed_and_keeps_the_rest(me: Person, store: Store) -> None:
    before = store.revision()
    sent = {
        **me.form("/services/new"),
        **NEW,
        "name": "",
        "service_id": " ",
        "id": "abc",
        "threshold": "0,71",
        "parent_id": "송금",
    }
    answer = me.send("/services/new", sent)
    assert answer.status_code == 422
    html = answer.text
    for field in ("id", "threshold", "parent_id"):
        assert f'id="{field}-error"' in html
        assert re.search(rf'id="{field}"[^>]*aria-invalid="true"[^>]*aria-describedby="{field}-error', html)
    kept = fields(html, "/services/new")
    assert kept["phrases"] == NEW["phrases"]
    assert kept["surfaces"] == NEW["surfaces"]
    assert (kept["threshold"], kept["parent_id"], kept["id"]) == ("0,71", "송금", "abc")
    named = me.send("/services/new", {**me.form("/services/new"), **NEW, "name": "", "service_id": " "}).text
    assert 'id="name-error"' in named
    assert 'id="service_id-error"' in named
    assert store.revision() == before


@pytest.mark.parametrize(
    ("field", "value", "shown"),
    [
        ("threshold", "1.5", "-1에서 1"),
        ("threshold", "nan", "-1에서 1"),
        ("threshold", "inf", "-1에서 1"),
        ("parent_id", "77777", "77777"),
        ("parent_id", "103", "자기"),
        ("service_id", "transfer", "이미"),
        ("phrases", "이체하기\n이체하기", "이체하기"),
        ("phrases", "가" * 3000, "8192"),
        ("memo", "가" * 3000, "8192"),
        ("name", "가" * 3000, "8192"),
        ("name", "\u200b", "보이는"),
        ("phrases", "\u200b\u200b", "보이는"),
        ("parent_id", "104", "아래"),
    ],
)
def test_what_a_catalog_does_not_take_is_said_in_korean_at_its_field(
    field: str, value: str, shown: str, me: Person, store: Store
) -> None:
    me.send("/services/104", {**me.form("/services/104"), "parent_id": "103"})
    before = store.revision()
    answer = me.send("/services/103", {**me.form("/services/103"), field: value})
    assert answer.status_code == 422, answer.headers
    error = re.search(rf'<p class="error" id="{field}-error">(.*?)</p>', answer.text, re.DOTALL)
    assert error, answer.text
    sentence = unescape(error[1])
    assert shown in sentence
    assert re.search("[가-힣]요", sentence), sentence
    kept = fields(answer.text, "/services/103")[field]
    assert kept.replace("\r\n", "\n") == value
    assert store.revision() == before


def test_a_null_phrase_is_no_phrase_of_a_service_and_the_form_says_whose_it_is(me: Person, store: Store) -> None:
    me.send("/null-topics/new", {"name": "날씨", "phrases": "오늘 날씨"})
    answer = me.send("/services/103", {**me.form("/services/103"), "phrases": "예약\n오늘 날씨"})
    assert answer.status_code == 422
    assert "날씨" in re.search(r'id="phrases-error">(.*?)</p>', answer.text)[1]  # type: ignore[index]
    assert "예약" not in store.service(103).value.phrases


def test_saving_without_a_change_writes_no_history(me: Person, store: Store) -> None:
    before = store.revision()
    for service in store.services()[:20]:
        path = f"/services/{service.value.id}"
        assert me.send(path, me.form(path)).headers["location"] == f"{path}?done=unchanged"
    assert store.revision() == before


def test_what_a_form_cannot_show_is_kept_as_it_was_imported(me: Person, store: Store) -> None:
    line = {
        "id": 1,
        "service_id": "a",
        "name": "가",
        "path": "직접 > 정한 경로",
        "open": True,
        "phrases": [" 앞뒤 공백 ", "두\n줄"],
        "memo": "줄\r\n바꿈",
        "surfaces": ["B", "A"],
    }
    store.replace(json.dumps(line).encode(), "one.jsonl", by="test")
    form = me.form("/services/1")
    assert me.send("/services/1", {**form, "phrases": form["phrases"] + "\n새 문장"}).status_code == 303
    saved = store.service(1).value
    assert saved.phrases == (" 앞뒤 공백 ", "두\n줄", "새 문장")
    assert (saved.memo, saved.surfaces, saved.path) == ("줄\r\n바꿈", ("B", "A"), "직접 > 정한 경로")
    form = me.form("/services/1")
    form.pop("own_path")
    me.send("/services/1", form)
    assert store.service(1).value.path == "가"


def test_a_moved_or_renamed_service_takes_what_is_below_along(me: Person, store: Store) -> None:
    me.send("/services/104", {**me.form("/services/104"), "parent_id": "103"})
    assert store.service(104).value.path == "송금 > 예약 송금 > 자동이체 관리"
    me.send("/services/103", {**me.form("/services/103"), "name": "예약", "parent_id": ""})
    assert store.service(103).value.path == "예약"
    assert store.service(104).value.path == "예약 > 자동이체 관리"
    assert me.page("/services/path?name=새%20이름&parent_id=104").strip() == "예약 &gt; 자동이체 관리 &gt; 새 이름"
    assert "99999번 서비스가 없어요" in me.page("/services/path?name=a&parent_id=99999")


def test_a_parent_is_found_by_name_and_never_a_service_of_its_own_branch(me: Person) -> None:
    html = me.page("/services/parents?parent_id=송금&id=101")
    ids = re.findall(r'value="(\d+)"', html)
    assert "100" in ids
    assert "101" not in ids
    assert not {"100", "101"} & set(re.findall(r'value="(\d+)"', me.page("/services/parents?parent_id=송금&id=100")))
    assert re.search(r'name="parent_id" value="100"', me.page("/services/new?parent=100"))


def test_two_new_services_at_the_same_time_get_two_numbers(me: Person, store: Store) -> None:
    first, second = me.form("/services/new"), me.form("/services/new")
    assert first["id"] == second["id"]
    me.send("/services/new", {**first, **NEW})
    answer = me.send("/services/new", {**second, **NEW, "service_id": "allowance-2"})
    assert answer.status_code == 303
    ids = [stored.value.id for stored in store.services() if stored.value.service_id.startswith("allowance")]
    assert len(set(ids)) == 2
    taken = me.send("/services/new", {**me.form("/services/new"), **NEW, "service_id": "c", "id": "100"})
    assert taken.status_code == 422
    assert 'id="id-error"' in taken.text


def test_a_service_is_closed_and_opened_with_one_button(me: Person, store: Store) -> None:
    form = fields(me.page("/services/103"), "/services/103/close")
    assert me.send("/services/103/close", form).headers["location"] == "/services/103?done=closed"
    assert not store.service(103).value.open
    stale = me.send("/services/103/open", form)
    assert stale.status_code == 409
    assert "다른 사람이" in stale.text
    form = fields(me.page("/services/103"), "/services/103/open")
    me.send("/services/103/open", form)
    assert store.service(103).value.open


def test_a_service_is_deleted_after_a_question_and_never_with_services_below(me: Person, store: Store) -> None:
    assert "아래에 서비스가" in me.page("/services/100/delete")
    assert me.send("/services/100/delete", {"version": "1"}).status_code == 409
    assert store.service(100)
    form = fields(me.page("/services/103/delete"), "")
    me.send("/services/103", {**me.form("/services/103"), "memo": "그사이"})
    assert me.send("/services/103/delete", form).status_code == 409
    assert store.service(103).value.memo == "그사이"
    assert me.send("/services/103/delete", fields(me.page("/services/103/delete"), "")).status_code == 303
    me.page("/services/103", 404)


def test_one_click_brings_back_what_was_changed_or_deleted(me: Person, store: Store) -> None:
    me.send("/services/103", {**me.form("/services/103"), "memo": "하나", "phrases": "하나"})
    me.send("/services/103", {**me.form("/services/103"), "memo": "둘"})
    html = me.page("/services/103")
    numbers = re.findall(r'action="/history/(\d+)/restore"', html)
    assert len(numbers) == 2
    assert "<del>하나</del>" in html
    assert me.send(f"/history/{numbers[0]}/restore").headers["location"] == "/services/103?done=restored"
    assert store.service(103).value.memo == "하나"
    me.send("/services/103/delete", {"version": str(store.service(103).version)})
    number = re.search(r'action="/history/(\d+)/restore"', me.page("/audit"))[1]  # type: ignore[index]
    me.send(f"/history/{number}/restore")
    assert store.service(103).value.phrases == ("하나",)
    assert me.send("/history/999999/restore").status_code == 404


def test_a_restore_that_the_catalog_does_not_take_any_more_says_why(me: Person, store: Store) -> None:
    me.send("/services/103/delete", {"version": "1"})
    number = re.search(r'action="/history/(\d+)/restore"', me.page("/audit"))[1]  # type: ignore[index]
    me.send("/services/101", {**me.form("/services/101"), "service_id": "transfer-scheduled"})
    refused = me.send(f"/history/{number}/restore")
    assert refused.status_code == 409
    assert "되돌릴 수 없어요" in refused.text


def test_warnings_are_asked_for_as_one_types_and_need_no_draft(me: Person) -> None:
    html = me.page("/services/103")
    assert 'hx-post="/services/103/warnings"' in html
    assert me.send("/services/103/warnings", {"phrases": "이체\n이체"}).status_code == 200
    assert me.page("/services/103/threshold?threshold=0.7") == ""
