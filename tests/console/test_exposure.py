"""Who is not meant to reach the console does not."""

from __future__ import annotations

import dataclasses
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request

from console.app import Console, make_app
from console.security.identity import Identity
from console.security.secret import SecretError, read_secret
from console.settings import Settings, SettingsError, check_exposure
from store.store import Store
from tests.console.conftest import SECRET, Person

Account = Callable[[str, str], str]
BEYOND: list[dict[str, Any]] = [
    {"listen": "0.0.0.0"},
    {"listen": "::"},
    {"listen": "10.0.0.5"},
    {"names": ("console.example.com",)},
    {"forwarded": True},
]


@pytest.mark.parametrize("more", BEYOND)
def test_without_accounts_the_console_does_not_start_where_others_can_reach_it(
    more: dict[str, Any], settings: Settings
) -> None:
    beyond = dataclasses.replace(settings, **more)
    with pytest.raises(SettingsError, match="no accounts"):
        check_exposure(beyond, accounts=0)
    check_exposure(beyond, accounts=1)
    check_exposure(dataclasses.replace(beyond, user_header="X-Forwarded-User"), accounts=0)


@pytest.mark.parametrize("listen", ["127.0.0.1", "::1", "localhost", "127.8.8.8"])
def test_on_loopback_no_account_is_needed(listen: str, settings: Settings) -> None:
    check_exposure(dataclasses.replace(settings, listen=listen), accounts=0)


@pytest.mark.parametrize("more", BEYOND)
def test_removing_the_last_account_opens_nothing_to_others(
    more: dict[str, Any], settings: Settings, store: Store, account: Account
) -> None:
    app = make_app(dataclasses.replace(settings, **more), store, SECRET)
    account("minji", "publish")
    assert Person(app).http.get("/services").status_code == 303
    store.remove_account("minji", by="test")
    assert Person(app).http.get("/services").status_code == 303


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8010",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "10.0.0.5",
        "",
        "a b",
        "127.0.0.1:x",
    ],
)
def test_a_site_whose_name_points_at_this_machine_reads_nothing(host: str, me: Person) -> None:
    answer = me.http.get("/services", headers={"Host": host})
    assert answer.status_code == 400
    assert "계좌" not in answer.text


@pytest.mark.parametrize("host", ["127.0.0.1:8010", "localhost:8010", "LOCALHOST", "[::1]:8010", "localhost."])
def test_the_consoles_own_names_are_answered(host: str, me: Person) -> None:
    assert me.http.get("/services", headers={"Host": host}).status_code == 200


def test_the_name_that_the_command_line_gives_is_answered_and_no_other(
    settings: Settings, store: Store, account: Account
) -> None:
    account("minji", "read")
    app = make_app(dataclasses.replace(settings, listen="0.0.0.0", names=("Console.Example.com",)), store, SECRET)
    codes = [
        Person(app).http.get("/login", headers={"Host": host}).status_code
        for host in ("console.example.com", "evil.example", "10.0.0.5:8010")
    ]
    assert codes == [200, 400, 200]


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "Via", "X-Forwarded-Host"])
def test_a_proxy_that_nobody_told_the_console_about_does_not_make_everyone_its_local_user(
    header: str, me: Person
) -> None:
    assert me.http.get("/services", headers={header: "203.0.113.9"}).status_code == 303


@pytest.fixture
def behind(settings: Settings, store: Store) -> Console:
    """A console behind a proxy that says who the user is."""
    proxied = dataclasses.replace(settings, user_header="X-Forwarded-User", proxies=("10.0.0.0/24",), forwarded=True)
    return make_app(proxied, store, SECRET)


def test_the_proxys_header_names_the_user_whose_account_says_what_they_may(behind: Console, account: Account) -> None:
    account("민지", "edit")
    person = Person(behind, "10.0.0.7")
    answer = person.http.get("/services/new", headers=[(b"X-Forwarded-User", "민지".encode())])
    assert answer.status_code == 200
    assert "민지" in answer.text
    stranger = Person(behind, "10.0.0.7")
    stranger.http.headers["X-Forwarded-User"] = "stranger"
    assert "읽기" in stranger.page("/services")
    assert stranger.http.get("/services/new").status_code == 403


@pytest.mark.parametrize("address", ["203.0.113.9", "10.0.1.7", "127.0.0.1", "testclient"])
def test_a_header_that_the_proxy_did_not_send_names_nobody(address: str, behind: Console, account: Account) -> None:
    account("minji", "publish")
    person = Person(behind, address)
    person.http.headers["X-Forwarded-User"] = "minji"
    person.http.headers["X-Forwarded-For"] = "10.0.0.7"
    assert person.http.get("/services").status_code == 403


@pytest.mark.parametrize("names", [[], ["minji", "junho"], [""], [" "], ["a\tb"], ["x" * 201]])
def test_a_proxy_that_does_not_say_exactly_one_name_lets_nobody_in(names: list[Any], behind: Console) -> None:
    headers = [("X-Forwarded-User", name) for name in names]
    assert Person(behind, "10.0.0.7").http.get("/services", headers=headers).status_code == 403


def test_a_name_that_is_not_utf_8_is_nobodys(settings: Settings, store: Store) -> None:
    proxied = dataclasses.replace(settings, user_header="X-Forwarded-User", proxies=("10.0.0.0/24",))
    request = Request({"type": "http", "headers": [(b"x-forwarded-user", b"\xff")], "state": {"peer": "10.0.0.7"}})
    with pytest.raises(HTTPException, match="403"):
        Identity(proxied, store, SECRET).user(request)


def test_behind_a_proxy_that_knows_its_users_no_password_opens_the_console(behind: Console, account: Account) -> None:
    account("minji", "publish")
    person = Person(behind, "203.0.113.9")
    assert person.http.get("/login").status_code == 403
    assert person.http.post("/login", data={"name": "minji", "password": "correct horse battery"}).status_code == 403


def test_an_account_may_be_closed_by_the_company_and_stays_out(behind: Console, store: Store, account: Account) -> None:
    account("minji", "publish")
    person = Person(behind, "10.0.0.7")
    person.http.headers["X-Forwarded-User"] = "minji"
    assert person.http.get("/services").status_code == 200
    store.remove_account("minji", by="test")
    assert "읽기" in person.page("/services")  # as anyone whom the proxy lets through


def test_probes_need_no_login_and_learn_nothing(app: Console, account: Account) -> None:
    account("minji", "read")
    assert Person(app).http.get("/health").text == "ok\n"


def test_the_secret_is_made_once_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    file = tmp_path / "made" / "console.secret"
    secret = read_secret(file)
    assert len(secret) >= 48
    assert read_secret(file) == secret
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [entry.name for entry in file.parent.iterdir()] == ["console.secret"]


def test_a_secret_that_others_can_read_or_that_is_too_short_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "console.secret"
    read_secret(file)
    file.chmod(0o640)
    with pytest.raises(SecretError, match="0640"):
        read_secret(file)
    file.chmod(0o600)
    file.write_text("short")
    with pytest.raises(SecretError, match="5 characters"):
        read_secret(file)
    file.write_bytes(b"\xff" * 64)
    with pytest.raises(SecretError, match="not a secret"):
        read_secret(file)
