"""One live server for all tests: the real encoder, the sample catalog, pip's Triton."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from export import ROOT
from export.__main__ import main as export
from server.launcher import Server
from server.ports import free_ports

CATALOG = ROOT / "catalogs" / "finance.jsonl"


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the model repository, with an index of its own beside it; `make export` has filled the original."""
    assert (ROOT / "model_repository/encoder/1/model.onnx").exists(), "run `make export` first"
    root = tmp_path_factory.mktemp("malgil")
    copied = root / "model_repository"

    def link(source: str, target: str) -> None:
        """A copy of text, a hard link of gigabytes."""
        if source.endswith(".onnx"):
            Path(target).hardlink_to(source)
        else:
            shutil.copy2(source, target)

    shutil.copytree(
        ROOT / "model_repository",
        copied,
        copy_function=link,
        ignore=shutil.ignore_patterns("__pycache__", "*.tmp"),
    )
    return copied


@pytest.fixture(scope="session")
def index(repository: Path) -> Path:
    """An index with the sample catalog as generation 1."""
    folder = repository.parent / "index"
    status = export(
        [
            "catalog",
            "publish",
            str(CATALOG),
            "--offline",
            "--index",
            str(folder),
            "--repository",
            str(repository),
        ]
    )
    assert status == 0
    return folder


@pytest.fixture(scope="session")
def server(repository: Path, index: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The live server; its log is in `server.log_file`'s place, printed if it does not start."""
    log = tmp_path_factory.mktemp("log") / "triton.log"
    with log.open("wb") as stream, Server(repository, free_ports(), log=stream) as running:
        try:
            running.wait_ready()
        except BaseException:
            print(log.read_text(errors="replace")[-5000:])
            raise
        yield running


class ServerGoneError(Exception):
    """The tests' server, which has no supervisor, is gone: the one error after which a test is run again."""


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Gives a failure its cause where the server is gone, for pytest-rerunfailures to see (pyproject.toml)."""
    running = getattr(item, "funcargs", {}).get("server")
    if call.excinfo and isinstance(running, Server) and not _alive(running):
        call.excinfo.value.__cause__ = ServerGoneError("tritonserver does not answer any more")
    return (yield)


def _alive(running: Server) -> bool:
    with running.client(30) as client:
        return client.ready()  # not poll(): it may hang in the handler of its own SIGABRT


@pytest.fixture(autouse=True)
def server_lives(request: pytest.FixtureRequest) -> None:
    """Starts the live server again, at the same addresses, where a test before has seen it crash."""
    if "server" not in request.fixturenames:
        return
    running: Server = request.getfixturevalue("server")
    if not _alive(running):
        running.stop(at_once=True)
        running.start()
        running.wait_ready()
        warnings.warn("tritonserver had crashed: it is started again", stacklevel=1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that ask the shared server as live; those that start one of their own say so themselves."""
    for item in items:
        if "server" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.live)
