"""A console's process is killed: each acknowledged save is there, what serves is whole, and the next one tells."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import malgil
import pytest
from malgil_core.index import history, reader

from server.launcher import Server
from tests.console.browser.consoles import Console
from tests.console.conftest import fields

pytestmark = pytest.mark.slow
SAVED = (101, 102, 103)  # services that people edit while the console is killed
NEW = 400  # phrases that a publish has to embed, which takes seconds
QUERY = f"비둘기 {NEW}마리로 보내기"


@pytest.fixture
def console(database: str, production: Server, served: Path, repository: Path) -> Iterator[Console]:
    """A console without accounts, that publishes what the server serves."""
    with Console(database, served, repository, production.grpc_url) as started:
        yield started


class Visitor:
    """Somebody who sends forms, without a browser."""

    def __init__(self, console: Console) -> None:
        self._http = httpx2.Client(base_url=console.url, timeout=30)

    def __enter__(self) -> Visitor:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def page(self, path: str) -> str:
        answer = self._http.get(path)
        assert answer.status_code == 200, answer.text
        return str(answer.text)

    def send(self, page: str, action: str, **typed: Any) -> None:
        """Send a form of a page; it is acknowledged."""
        answer = self._http.post(action, data={**fields(self.page(page), action), **typed})
        assert answer.status_code == 303, answer.text


def save_until_killed(console: Console, id: int) -> int:
    """Save a service's memo again and again: 0, 1, 2, …; the last one that was acknowledged."""
    number = 0
    with Visitor(console) as visitor:
        try:
            while True:
                visitor.send(f"/services/{id}", f"/services/{id}", memo=str(number))
                number += 1
        except httpx2.TransportError:
            return number - 1


def until(visitor: Visitor, words: str) -> None:
    """Wait until the job's part of the page says something."""
    deadline = time.monotonic() + 60
    while words not in (shown := visitor.page("/publish/job")):
        assert time.monotonic() < deadline, shown


def test_a_console_killed_while_people_save_and_publish_loses_nothing_that_it_acknowledged(
    console: Console, served: Path, client: malgil.SearchClient
) -> None:
    before = reader.current(served)
    stored = console.store.service(110)
    phrases = tuple(f"비둘기 {number}마리로 보내기" for number in range(1, NEW + 1))
    console.store.save_service(dataclasses.replace(stored.value, phrases=phrases), by="minji", expected=stored.version)
    with Visitor(console) as visitor, ThreadPoolExecutor(len(SAVED)) as pool:
        savers = [pool.submit(save_until_killed, console, id) for id in SAVED]
        deadline = time.monotonic() + 60
        while not all(console.store.service(id).value.memo.isdigit() for id in SAVED):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        visitor.send("/publish", "/publish", note="한밤의 게시")
        until(visitor, '<progress max="')  # some phrases are embedded
        console.kill()
        acknowledged = [saver.result(30) for saver in savers]
    assert min(acknowledged) >= 0
    for id, number in zip(SAVED, acknowledged, strict=True):
        entry = console.store.service(id)
        assert int(entry.value.memo) in (number, number + 1)  # the last one may not have been told any more
        changes = console.store.history("service", entry.key, limit=10_000)
        assert [change.version for change in reversed(changes)] == list(range(1, entry.version + 1))
    assert [entry.problem for entry in history.entries(served, thorough=True) if entry.problem] == []
    assert reader.current(served) == before
    assert client.search("이체").generation == before

    console.start()
    with Visitor(console) as visitor:
        shown = visitor.page("/publish")
        assert "마지막 작업이 끊겼어요" in shown
        assert f"서비스는 세대 {before} 그대로예요" in shown
        assert "한밤의 게시" in shown
        visitor.send("/publish", "/publish")
        until(visitor, "게시했어요(세대 ")
        deadline = time.monotonic() + 10
        while not (hits := client.search(QUERY)) or hits[0].id != 110:
            assert time.monotonic() < deadline
        visitor.send("/publish", "/publish/rollback", generation=str(before))
        until(visitor, "되돌렸어요")
