"""The `malgil` command: exit codes, errors, help and the table."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import unicodedata
from collections.abc import Iterator

import pytest
from malgil import Hit, SearchResult
from malgil._table import table, width

from tests.client import fake_triton
from tests.client.fake_triton import SERVERS, Scenario

pytestmark = pytest.mark.slow


def malgil(*arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    command = shutil.which("malgil", path=os.path.dirname(sys.executable))  # noqa: PTH120
    assert command, "pip install ./client"
    return subprocess.run(
        [command, *arguments],
        capture_output=True,
        encoding="utf-8",
        env=os.environ | {"MALGIL_URL": "127.0.0.1:1"} | (env or {}),
        timeout=60,
        check=False,
    )


@pytest.fixture
def scenario() -> Scenario:
    return Scenario()


@pytest.fixture(params=SERVERS)
def url(request: pytest.FixtureRequest, scenario: Scenario) -> Iterator[str]:
    with SERVERS[request.param](scenario) as url:
        yield url


@pytest.mark.parametrize(
    ("status", "code", "text"),
    [
        (fake_triton.BLANK, 3, "query: the text is blank"),
        (fake_triton.QUEUE_FULL, 4, "Exceeds maximum queue size"),
        (fake_triton.NO_CATALOG, 5, "no catalog is published"),
        (fake_triton.QUEUE_TIMEOUT, 6, "Request timeout expired"),
        (("INTERNAL", "oops\n\nAt:\n  model.py(9): execute\n"), 1, "oops"),
    ],
)
def test_each_failure_prints_one_sentence_and_has_its_exit_code(
    url: str, scenario: Scenario, status: tuple[str, str], code: int, text: str
) -> None:
    scenario.failures = [status] * 3
    done = malgil("search", "돈", "--url", url)
    assert (done.returncode, done.stdout, done.stderr) == (code, "", f"malgil: {text}\n")


def test_a_missing_server_and_a_slow_one_have_different_errors(url: str, scenario: Scenario) -> None:
    for missing in ("127.0.0.1:1", "http://127.0.0.1:1"):
        done = malgil("search", "돈", "--url", missing)
        assert (done.returncode, done.stderr) == (5, f"malgil: cannot reach {missing}: Connection refused\n")
    scenario.delay = 3
    done = malgil("search", "돈", "--url", url, "--timeout", "0.3")
    assert (done.returncode, done.stderr) == (6, "malgil: no answer within 0.3 s\n")


@pytest.mark.parametrize(
    "arguments", [(), ("search",), ("search", "돈", "--top-k", "x"), ("search", "돈", "--url", "ftp://h:1")]
)
def test_wrong_usage_exits_2(arguments: tuple[str, ...]) -> None:
    done = malgil(*arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_a_failed_probe_prints_the_reason_on_stderr(url: str, scenario: Scenario) -> None:
    healthy = malgil("probe", "--url", url, "--timeout", "5")
    assert (healthy.returncode, healthy.stderr) == (0, "")
    assert healthy.stdout.startswith("ready: generation 42, answered in ")
    assert healthy.stdout.count("\n") == 1
    scenario.failures = [fake_triton.DEAD_STUB]
    failed = malgil("probe", "--url", url)
    assert (failed.returncode, failed.stdout) == (1, "")
    assert failed.stderr == "malgil: Stub process 'scorer_0_0' is not healthy.\n"


@pytest.mark.parametrize("url", ["127.0.0.1:1", "http://127.0.0.1:1", "ftp://h:1"])
def test_probe_exits_1_for_every_failure(url: str) -> None:
    done = malgil("probe", "--url", url)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)


def test_help_has_examples_and_version_is_printed() -> None:
    for arguments in (["--help"], ["search", "--help"], ["probe", "--help"]):
        done = malgil(*arguments)
        assert done.returncode == 0
        assert "examples:" in done.stdout
    assert malgil("--version").stdout == "malgil 0.1.0\n"
    module = subprocess.run([sys.executable, "-m", "malgil", "--version"], capture_output=True, check=True)
    assert module.stdout == b"malgil 0.1.0\n"


def test_columns_line_up_with_hangul_wide_and_combining_characters() -> None:
    names = [
        "송금",
        unicodedata.normalize("NFD", "송금"),
        "KB",
        "ＫＢ",
        "café",
        unicodedata.normalize("NFD", "café"),
    ]
    hits = tuple(Hit(rank, name, "경로", 0.5, "말") for rank, name in enumerate(names))
    head, *lines = table(SearchResult(hits, 1)).splitlines()
    assert {width(line[: line.index("경로")]) for line in lines} == {width(head[: head.index("path")])}


def test_control_characters_in_a_name_do_not_reach_the_terminal() -> None:
    lines = table(SearchResult((Hit(1, "송\n금\x1b[31m", "a\tb", 0.5, ""),), 1))
    assert lines.count("\n") == 1
    assert "\x1b" not in lines
