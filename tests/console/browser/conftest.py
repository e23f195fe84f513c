"""A browser, a Triton that serves what consoles publish, a console on a copy of its index, and people who use it."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import malgil
import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from server.launcher import Server
from server.ports import free_ports
from tests.console.browser.consoles import Console
from tests.console.browser.people import Person
from tests.feedback.logs import Log

expect.set_options(timeout=15_000)


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Debian's Chromium; each person has a context of it."""
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("Chromium is not installed: `sh server/install.sh test` installs it where it can")
    sandbox = ["--no-sandbox"] if os.getuid() == 0 else []  # which does not run as root
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=sandbox)
        yield started
        started.close()


@pytest.fixture(scope="package")
def served(index: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index that a server of its own serves."""
    return Path(shutil.copytree(index, tmp_path_factory.mktemp("production") / "index"))


@pytest.fixture(scope="package")
def production(repository: Path, served: Path) -> Iterator[Server]:
    """The server of an index into which consoles publish."""
    root = served.parent
    shutil.copytree(repository, root / "model_repository", copy_function=os.link)
    log = root / "triton.log"
    with log.open("wb") as stream, Server(root / "model_repository", free_ports(), log=stream) as running:
        running.wait_ready()
        yield running
        assert running.process.poll() is None, log.read_text(errors="replace")[-5000:]


@pytest.fixture(scope="package")
def client(production: Server) -> Iterator[malgil.SearchClient]:
    """An app's way to the server: gRPC."""
    with malgil.SearchClient(production.grpc_url, timeout=30) as made:
        yield made


@pytest.fixture(scope="package")
def site(
    production: Server, repository: Path, index: Path, hashed: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Console]:
    """A console with accounts, which publishes into an index that nothing serves."""
    folder = tmp_path_factory.mktemp("site")
    shutil.copytree(index, folder / "index")
    searched(folder / "events")
    database = f"sqlite:///{folder}/console.db"
    with Console(database, folder / "index", repository, production.grpc_url, hashed) as console:
        yield console


def searched(folder: Path) -> None:
    """A log of people who searched an hour ago."""
    log, at_ms = Log(), int(time.time() * 1000) - 3_600_000
    for i in range(5):
        person = f"person {i}"
        log.session("우주여행 예약", hits=(), person=person, at_ms=at_ms)
        log.session("오늘의 날씨", refused_by="null", person=person, at_ms=at_ms)
        log.session("용돈 받는 법", person=person, at_ms=at_ms)
        log.session("엄마한테 용돈 부치기", chosen=101, person=person, at_ms=at_ms)
    log.write(folder, at_ms / 1000)


Visit = Callable[..., Person]


@pytest.fixture
def visit(browser: Browser) -> Iterator[Visit]:
    """Opens a browser on a console, for somebody with an account or, without a name, before the login."""
    visitors: list[Person] = []

    def opened(console: Console, name: str | None = None, **options: Any) -> Person:
        person = Person(browser, console.url, **options)
        visitors.append(person)
        if name is not None:
            person.log_in(name)
        return person

    yield opened
    for person in visitors:
        person.context.close()
    assert [complaint for person in visitors for complaint in person.complaints] == []
