"""Guessing passwords is slow; who types theirs wrongly a few times is let in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httpx2 as httpx
import pytest

from console.app import Console
from console.security import accounts, logins
from store.store import Store
from tests.console.conftest import ADDRESS, PASSWORD, Person


class Clock:
    """Seconds that pass when told."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_an_account_can_be_tried_again_once_the_first_attempts_are_old_enough() -> None:
    clock = Clock()
    attempts = logins.Attempts(per_account=2, per_address=100, window=600, clock=clock)
    assert attempts.start("minji", "10.0.0.1") == 0
    clock.now += 10
    assert attempts.start("minji", "10.0.0.2") == 0
    clock.now += 10
    assert attempts.start("MINJI", "10.0.0.3") == 580
    assert attempts.start("junho", "10.0.0.3") == 0
    clock.now += 580
    assert attempts.start("minji", "10.0.0.3") == 0


def test_an_address_cannot_try_one_password_on_every_account() -> None:
    attempts = logins.Attempts(per_account=100, per_address=3, clock=Clock())
    assert [attempts.start(f"a{i}", "10.0.0.1") > 0 for i in range(4)] == [False, False, False, True]
    attempts.succeeded("a0", "10.0.0.1")
    assert [attempts.start(f"b{i}", "10.0.0.1") > 0 for i in range(2)] == [False, True]


def test_a_flood_of_names_does_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logins, "MOST_KEYS", 50)
    attempts = logins.Attempts(per_address=10_000, clock=Clock())
    for i in range(1000):
        attempts.start(f"a{i}", "10.0.0.1")
    assert len(attempts._times) == 50
    assert len(attempts._times[("address", "10.0.0.1")]) == 1000


def test_after_too_many_wrong_passwords_even_the_right_one_waits(
    app: Console, account: Callable[[str, str], str]
) -> None:
    account("minji", "edit")
    guesser = Person(app)
    for _ in range(logins.PER_ACCOUNT):
        assert guesser.log_in("minji", "wrong password").status_code == 401
    refused = guesser.log_in("minji")
    assert refused.status_code == 429
    assert 0 < int(refused.headers["retry-after"]) <= logins.WINDOW
    assert "10분 뒤에 다시" in refused.text


async def test_guesses_at_the_same_time_are_no_way_around_the_bound(
    app: Console, account: Callable[[str, str], str]
) -> None:
    account("minji", "edit")
    token_of = Person(app)
    token = token_of.token()
    cookie = token_of.http.cookies["malgil_console"]
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app, client=("127.0.0.1", 1)),
        base_url=ADDRESS,
        cookies={"malgil_console": cookie},
    ) as http:
        data = {"csrf_token": token, "name": "minji"}
        tries = [http.post("/login", data={**data, "password": f"guess number {i}"}) for i in range(40)]
        answers = [answer.status_code for answer in await asyncio.gather(*tries)]
    assert sorted(answers) == [401] * logins.PER_ACCOUNT + [429] * (40 - logins.PER_ACCOUNT)


def test_an_unknown_name_takes_the_same_work_and_the_same_words_as_a_wrong_password(
    app: Console, account: Callable[[str, str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    account("minji", "edit")
    verified: list[str] = []
    hasher: Any = accounts._HASHER

    class Counting:
        def __getattr__(self, name: str) -> Any:
            return getattr(hasher, name)

        def verify(self, stored: str, password: bytes) -> Any:
            verified.append(stored.split("$")[3])  # m, t, p
            return hasher.verify(stored, password)

    monkeypatch.setattr(accounts, "_HASHER", Counting())
    known, unknown = Person(app).log_in("minji", "wrong password"), Person(app).log_in("nobody", "wrong password")
    assert verified[0] == verified[1] == "m=65536,t=3,p=4"
    assert known.status_code == unknown.status_code == 401
    assert "이름이나 비밀번호가 맞지 않아요" in known.text
    assert known.text.replace("minji", "").count("비밀번호") == unknown.text.replace("nobody", "").count("비밀번호")


def test_a_password_typed_as_the_name_is_not_kept_in_the_audit(
    app: Console, store: Store, account: Callable[[str, str], str]
) -> None:
    account("minji", "edit")
    Person(app).log_in(PASSWORD, "minji")
    Person(app).log_in("minji", "wrong password")
    refused = [change for change in store.history() if change.action == "login refused"]
    assert [change.name for change in refused] == ["minji"]
