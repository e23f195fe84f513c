"""No other site changes anything in a user's name."""

from __future__ import annotations

import pytest

from console.app import Console
from store.store import Store
from tests.console.conftest import Person, fields

EDIT = {"name": "송금", "service_id": "transfer", "phrases": "이체", "version": "1", "memo": "바뀜"}


@pytest.mark.parametrize("token", [None, "", "x", "가", "a" * 100])
def test_a_change_without_the_sessions_token_changes_nothing(token: str | None, me: Person, store: Store) -> None:
    me.page("/services/100")
    before = store.revision()
    data = EDIT if token is None else {**EDIT, "csrf_token": token}
    assert me.http.post("/services/100", data=data).status_code == 403
    headers = {} if token is None or not token.isascii() else {"X-CSRF-Token": token}
    assert me.http.post("/services/100", data=EDIT, headers=headers).status_code == 403
    assert store.revision() == before


def test_the_token_of_another_session_is_none_of_this_one(app: Console, me: Person, store: Store) -> None:
    before = store.revision()
    me.page("/services")
    assert me.http.post("/services/100", data={**EDIT, "csrf_token": Person(app).token()}).status_code == 403
    assert store.revision() == before


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:9999"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "http://127.0.0.1:8010.evil.example"},
        {"Origin": "http://[oops"},
    ],
)
def test_a_form_of_another_site_is_refused_even_with_the_right_token(
    headers: dict[str, str], me: Person, store: Store
) -> None:
    before = store.revision()
    refused = me.send("/services/100", EDIT, headers=headers)
    assert refused.status_code == 403
    assert "다른 사이트" in refused.text
    assert store.revision() == before


def test_a_form_of_another_site_does_not_come_back_after_a_login(app: Console, store: Store, hashed: str) -> None:
    store.save_account("minji", "edit", hashed, by="test")
    refused = Person(app).http.post("/services/100", data=EDIT, headers={"Origin": "https://evil.example"})
    assert refused.status_code == 403
    assert "바뀜" not in refused.text


def test_a_form_from_before_a_new_login_is_shown_and_can_be_sent_again(me: Person, store: Store) -> None:
    form = me.form("/services/100")
    me.http.cookies.clear()
    shown = me.http.post("/services/100", data={**form, "memo": "바뀜"}, headers={"Sec-Fetch-Site": "same-origin"})
    assert shown.status_code == 403
    assert store.service(100).value.memo == ""
    assert me.http.post("/services/100", data=fields(shown.text, "/services/100")).status_code == 303
    assert store.service(100).value.memo == "바뀜"


def test_reading_never_changes_anything(me: Person, store: Store) -> None:
    before = store.revision()
    paths = ("/services/100/close", "/services/100/open", "/history/1/restore", "/logout")
    assert [me.http.get(path).status_code for path in paths] == [405] * 4
    me.page("/services/103/delete")
    assert store.revision() == before
