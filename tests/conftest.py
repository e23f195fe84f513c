"""One live server for all tests: the real encoder, the sample catalog, pip's Triton."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from _pytest.nodeid import NodeId
from threadpoolctl import threadpool_limits

from export import ROOT
from export.__main__ import main as export
from server.launcher import Server
from server.ports import free_ports
from tests import postgresql as of_tests

CATALOG = ROOT / "catalogs" / "finance.jsonl"
NULL_TOPICS = ROOT / "catalogs" / "null_topics.jsonl"
TESTS = ROOT / "tests"


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
            "--null-topics",
            str(NULL_TOPICS),
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
    """The live server; its log is printed if it does not start, or has crashed by the end."""
    log = tmp_path_factory.mktemp("log") / "triton.log"
    with log.open("wb") as stream, Server(repository, free_ports(), log=stream) as running:
        try:
            running.wait_ready()
        except BaseException:
            print(log.read_text(errors="replace")[-5000:])
            raise
        yield running
        assert running.process.poll() is None, log.read_text(errors="replace")[-5000:]


@pytest.fixture(scope="session")
def postgresql() -> Iterator[of_tests.Postgresql]:
    """A PostgreSQL server."""
    if of_tests.programs() is None:
        pytest.skip("PostgreSQL is not installed: `sh server/install.sh test` installs it where it can")
    with of_tests.running() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a new database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/catalog.db"
    server: of_tests.Postgresql = request.getfixturevalue("postgresql")
    return server.new()


# Fixtures with a running server; the first two are for all tests. The benchmarks come before `secure`: the memory that
# they measure is less for each server that shares it.
SERVERS = ("server", "secure", "narrow", "expendable", "proxied", "documented", "production")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option for the pictures of docs/."""
    parser.addoption("--pictures", type=Path, metavar="FOLDER", help="take the pictures of docs/console.md")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark the tests whose fixture is a server as live, and say which tests stay together in one worker.

    Tests that start a server themselves say so themselves. Whatever the number of workers, there is one of each server
    that many files share; benchmarks share what they export into models/bench; other files go wherever there is room.
    """
    for item in items:
        fixtures = getattr(item, "fixturenames", ())
        file = item.path.relative_to(TESTS)
        servers = [name for name in SERVERS if name in fixtures]
        if servers:
            item.add_marker(pytest.mark.live)
        if config.getoption("loadgroup", False):  # in a worker
            group = servers[0] if servers else file.parts[0] if file.parts[0] == "benchmarks" else str(file)
            # As `@pytest.mark.xdist_group` does, but for its fault: xdist 3.8 renames what pytest 9.2 does not read.
            item._id = NodeId.parse(f"{item.nodeid}@{group}")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Leave one core to each worker of two; what the tests start has all of them, as users' processes do."""
    if hasattr(session.config, "workerinput"):
        threadpool_limits(1)
