"""Whatever is sent, it is refused in a sentence or shown as text, and nothing of what is refused is stored."""

from __future__ import annotations

import logging
import time
from typing import Any

import pytest

from console.app import Console
from console.security import bodies
from store.store import Store
from tests.console.conftest import Person

SCRIPT = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>{{7*7}}{% raw %}</textarea>"


def test_a_script_in_every_field_of_a_service_is_text_on_every_page(me: Person, store: Store) -> None:
    form = me.form("/services/103")
    evil = {name: f"{SCRIPT}{name}" for name in ("name", "service_id", "memo", "phrases", "more_surfaces")}
    assert me.send("/services/103", {**form, **evil}).status_code == 303
    assert store.service(103).value.name == f"{SCRIPT}name"
    me.send("/services/103", {**me.form("/services/103"), "threshold": SCRIPT, "parent_id": SCRIPT})
    paths = [
        "/services",
        "/services?open=yes",
        "/services/103",
        "/services/103/history",
        "/services/103/delete",
        "/audit",
        "/services/100/below",
        f"/services?q={SCRIPT}",
        f"/audit?q={SCRIPT}&by={SCRIPT}",
        f"/null-topics?q={SCRIPT}",
        f"/null-topics/new?name={SCRIPT}&phrases={SCRIPT}",
        f"/services/path?name={SCRIPT}&parent_id=100",
        "/services/parents?parent_id=script",
        "/services?at=103",
    ]
    for path in paths:
        html = me.page(path)
        assert "<script>alert" not in html
        assert "<img" not in html
        assert "49" not in html.replace("{{7*7}}", "")[html.find("<main") :] or "7*7" in html


def test_a_script_in_a_field_is_text_in_the_page_of_a_refused_save_and_of_a_conflict(me: Person) -> None:
    form = me.form("/services/103")
    refused = me.send("/services/103", {**form, "memo": SCRIPT, "name": SCRIPT, "threshold": "x"})
    assert refused.status_code == 422
    me.send("/services/103", {**form, "memo": "먼저"})
    conflict = me.send("/services/103", {**form, "memo": SCRIPT, "name": SCRIPT, "phrases": SCRIPT})
    assert conflict.status_code == 409
    for page in (refused.text, conflict.text):
        assert "<script>alert" not in page
        assert "<img" not in page
        assert page.count("</textarea>") == page.count("<textarea")


def test_a_form_of_ten_megabytes_is_refused_before_it_is_read(me: Person, store: Store) -> None:
    before = store.revision()
    refused = me.send("/services/100", {"memo": "가" * 1_200_000})
    assert refused.status_code == 413
    assert "1 MiB까지" in refused.text
    assert store.revision() == before


def test_a_form_that_says_it_is_small_and_is_not_is_refused_too(me: Person) -> None:
    def chunks() -> Any:
        for _ in range(20):
            yield b"a" * 100_000

    assert me.http.post("/services/100", content=chunks()).status_code == 413


def test_a_sender_that_never_finishes_does_not_hold_a_place(me: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "SECONDS", 0.1)
    import anyio

    async def send_slowly() -> int:
        status = 0

        async def receive() -> Any:
            await anyio.sleep(30)

        async def send(message: Any) -> None:
            nonlocal status
            status = message.get("status", status)

        scope = {
            "type": "http",
            "method": "POST",
            "path": "/services/100",
            "raw_path": b"",
            "query_string": b"",
            "root_path": "",
            "headers": [(b"host", b"127.0.0.1:8010")],
            "client": ("127.0.0.1", 1),
            "scheme": "http",
            "server": None,
        }
        await me.http.app(scope, receive, send)
        return status

    started = time.monotonic()
    assert anyio.run(send_slowly) == 408
    assert time.monotonic() - started < 10


@pytest.mark.parametrize("content", [b"memo=%ff%fe", b"memo=\xff", b"memo=%ed%a0%80", b"memo=a%00b", b"%c3=1"])
def test_broken_utf_8_is_refused_not_mended(content: bytes, me: Person, store: Store) -> None:
    before = store.revision()
    body = f"csrf_token={me.token()}&version=1&name=a&service_id=b&".encode() + content
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    refused = me.http.post("/services/100", content=body, headers=headers)
    assert refused.status_code == 400
    assert "읽을 수 없는 글자" in refused.text
    assert store.revision() == before
    assert me.http.get("/services?q=%ff").status_code == 400


@pytest.mark.parametrize(
    "path",
    [
        "/services/-1",
        "/services/1e3",
        "/services/../etc/passwd",
        "/services/%2e%2e/%2e%2e/etc/passwd",
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/static/..%2fapp.py",
        "/static/....//app.py",
        "/static//etc/passwd",
        "/static/%00",
        "/services/99999999999999999999999999",
        "/null-topics/99999999999999999999",
        "/services/１００",
        "/nothing",
    ],
)
def test_a_path_that_is_no_page_is_not_found_and_shows_no_file(path: str, me: Person) -> None:
    answer = me.http.get(path)
    assert answer.status_code in (400, 404)
    assert "import" not in answer.text
    assert "root:" not in answer.text


def test_numbers_beyond_all_bounds_in_addresses_are_no_fault_of_the_server(me: Person) -> None:
    huge = "9" * 30
    for path in (
        f"/services?at={huge}",
        f"/services?offset={huge}",
        "/services?offset=-1",
        f"/audit?before={huge}",
        "/audit?since=2026-99-99",
        f"/services/new?parent={huge}",
        f"/services/path?parent_id={huge}",
    ):
        assert me.http.get(path).status_code == 200, path
    assert me.send(f"/history/{huge}/restore").status_code == 404
    assert me.send("/services/100/delete", {"version": huge}).status_code == 409


def test_fields_that_are_not_those_of_the_form_change_nothing_else(me: Person, store: Store) -> None:
    form = me.form("/services/103")
    sent = {**form, "memo": "메모", "id": "555", "changed_by": "evil", "key": "1", "__class__": "x"}
    assert me.send("/services/103", sent).status_code == 303
    saved = store.service(103)
    assert saved.value.memo == "메모"
    assert saved.changed_by != "evil"


def test_a_file_in_place_of_a_text_is_no_text(me: Person, store: Store) -> None:
    before = store.revision()
    form = me.form("/services/103")
    form.pop("name")
    answer = me.http.post("/services/103", data=form, files={"name": ("a.txt", b"abc")})
    assert answer.status_code == 422
    assert store.revision() == before


def test_a_fault_of_the_server_is_in_the_log_and_not_on_the_page(
    app: Console, store: Store, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise RuntimeError("password=hunter2 at /var/lib/console.db")

    person = Person(app)
    person.http = type(person.http)(
        app, base_url=str(person.http.base_url), raise_server_exceptions=False, client=("127.0.0.1", 1)
    )
    monkeypatch.setattr(type(store), "null_topics", fails)
    with caplog.at_level(logging.ERROR):
        answer = person.http.get("/null-topics")
    assert answer.status_code == 500
    assert "hunter2" not in answer.text
    assert "Traceback" not in answer.text
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    number = answer.text.split("번호 ")[1].split("를")[0]
    assert number in caplog.text
