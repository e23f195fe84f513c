"""Whoever is logged in is who they say, for as long as their account says so; what they typed survives a new login."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from console.app import Console
from console.security import sessions
from store.store import Store
from tests.console.conftest import Person, fields

Account = Callable[[str, str], str]


def test_with_accounts_no_page_opens_without_a_login_and_the_login_leads_back(app: Console, account: Account) -> None:
    account("minji", "read")
    person = Person(app)
    asked = person.http.get("/services/100?done=saved")
    assert asked.status_code == 303
    assert asked.headers["location"] == "/login?next=/services/100%3Fdone%3Dsaved"
    form = fields(person.page(asked.headers["location"]), "/login")
    answered = person.log_in("minji", next=form["next"])
    assert (answered.status_code, answered.headers["location"]) == (303, "/services/100?done=saved")
    assert "minji" in person.page("/services/100")


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "javascript:alert(1)",
        "/\t/evil.example",
        "https:evil.example",
        "/a\nSet-Cookie: a=b",
        "",
    ],
)
def test_a_login_leads_to_no_other_site(target: str, app: Console, account: Account) -> None:
    account("minji", "read")
    assert Person(app).log_in("minji", next=target).headers["location"] == "/"
    person = Person(app)
    person.log_in("minji")
    assert person.http.get("/login", params={"next": target}).headers["location"] == "/"


def test_the_session_cookie_cannot_be_read_by_scripts_or_sent_by_other_sites(app: Console, account: Account) -> None:
    account("minji", "read")
    cookie = Person(app).log_in("minji").headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert "secure" not in cookie
    person = Person(app)
    person.http.base_url = "https://127.0.0.1:8010"
    assert "secure" in person.log_in("minji").headers["set-cookie"].lower()


def test_a_session_of_before_the_login_is_not_the_one_after_it(app: Console, account: Account) -> None:
    account("minji", "read")
    person = Person(app)
    before = person.token()
    person.log_in("minji")
    assert person.token() != before


def test_a_forged_or_altered_cookie_is_nobody(app: Console, account: Account) -> None:
    account("minji", "publish")
    person = Person(app)
    person.log_in("minji")
    cookie = person.http.cookies["malgil_console"]
    for forged in (cookie[:-2], "x" + cookie, cookie.split(".")[0], "null", "e30="):
        other = Person(app)
        other.http.cookies["malgil_console"] = forged
        assert other.http.get("/services").status_code == 303


def test_a_session_ends_after_eight_hours(app: Console, account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    account("minji", "read")
    person = Person(app)
    person.log_in("minji")
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + sessions.LIFETIME - 5)
    assert person.http.get("/services").status_code == 200
    monkeypatch.setattr(time, "time", lambda: now + sessions.LIFETIME + 5)
    assert person.http.get("/services").status_code == 303


def test_a_logout_ends_a_copy_of_the_cookie_as_well(app: Console, account: Account) -> None:
    account("minji", "read")
    person, thief = Person(app), Person(app)
    person.log_in("minji")
    thief.http.cookies["malgil_console"] = person.http.cookies["malgil_console"]
    assert thief.http.get("/services").status_code == 200
    assert person.send("/logout").status_code == 303
    assert thief.http.get("/services").status_code == 303
    assert person.http.get("/services").status_code == 303


def test_a_changed_password_a_removed_account_and_a_lesser_role_count_at_once(
    app: Console, store: Store, account: Account, hashed: str
) -> None:
    account("minji", "edit")
    account("junho", "edit")
    person, other = Person(app), Person(app)
    person.log_in("minji")
    other.log_in("junho")
    assert person.http.get("/services/new").status_code == 200
    store.save_account("minji", "read", hashed, by="test")
    assert person.http.get("/services/new").status_code == 403
    store.save_account("minji", "edit", hashed[:-1] + ("A" if hashed[-1] != "A" else "B"), by="test")
    assert person.http.get("/services/new").status_code == 303
    store.remove_account("junho", by="test")
    assert other.http.get("/services/new").status_code == 303


def test_an_account_without_a_password_cannot_log_in(app: Console, store: Store) -> None:
    store.save_account("minji", "publish", None, by="test")
    assert Person(app).log_in("minji", "").status_code == 401
    assert Person(app).log_in("minji", "None").status_code == 401


def test_what_was_typed_before_the_session_ended_is_saved_after_the_login(
    app: Console, store: Store, account: Account
) -> None:
    account("minji", "edit")
    person = Person(app)
    person.log_in("minji")
    form = person.form("/services/100")
    typed = {**form, "memo": '여러 줄\n"따옴표" <b>', "phrases": form["phrases"] + "\n용돈 부치기"}
    person.http.cookies.clear()
    asked = person.http.post("/services/100", data=typed)
    assert asked.status_code == 401
    assert store.service(100).value.memo == ""
    held = fields(asked.text, "/login")
    wrong = person.http.post("/login", data={**held, "name": "minji", "password": "wrong password"})
    held = fields(wrong.text, "/login")
    resumed = person.http.post("/login", data={**held, "name": "minji", "password": "correct horse battery"})
    assert "아직 저장하지 않았어요" in resumed.text
    assert store.service(100).value.memo == ""
    assert person.http.post("/services/100", data=fields(resumed.text, "/services/100")).status_code == 303
    saved = store.service(100)
    assert saved.value.memo == '여러 줄\n"따옴표" <b>'
    assert saved.value.phrases[-1] == "용돈 부치기"
    assert saved.changed_by == "minji"


def test_a_part_of_a_page_asked_for_after_the_session_ended_leaves_the_page_as_it_is(
    app: Console, account: Account
) -> None:
    account("minji", "edit")
    answer = Person(app).http.get("/services?q=a", headers={"HX-Request": "true"})
    assert answer.status_code == 401
    assert "<" not in answer.text
    assert "쓰던 내용은 그대로" in answer.text


@pytest.mark.parametrize(("role", "allowed"), [("read", False), ("edit", True), ("publish", True)])
def test_who_may_only_read_changes_nothing(
    role: str, allowed: bool, app: Console, store: Store, account: Account
) -> None:
    account("minji", role)
    account("editor", "edit")
    editor, person = Person(app), Person(app)
    editor.log_in("editor")
    person.log_in("minji")
    before = store.revision()
    form = editor.form("/services/100")
    form["csrf_token"] = person.token()
    topic = {"name": "별자리", "phrases": "오늘의 운세"}
    sent = {
        "/services/100": {**form, "memo": "메모"},
        "/null-topics/new": topic,
        "/services/103/delete": {"version": "1"},
    }
    codes = [person.send(path, data).status_code for path, data in sent.items()]
    assert codes == ([303] * 3 if allowed else [403] * 3)
    assert (store.revision() > before) == allowed
    person.page("/services")
    page = person.page("/services/100")
    assert ("저장</button>" in page) == allowed


def test_a_held_form_that_was_tampered_with_is_refused_in_words(app: Console, account: Account) -> None:
    account("minji", "edit")
    for held in ("{", '["a"]', "[[1,2,3]]", '{"a": 1}', "[" * 100_000):
        answer = Person(app).log_in("minji", held=held, held_path="/services/100")
        assert answer.status_code == 400
        assert "읽을 수 없어요" in answer.text
