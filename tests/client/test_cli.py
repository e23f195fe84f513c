"""The `malgil` command, run as people and containers run it."""

from __future__ import annotations

import json
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
from tests.client.fake_triton import SERVERS, Brain


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
def brain() -> Brain:
    return Brain()


@pytest.fixture(params=SERVERS)
def url(request: pytest.FixtureRequest, brain: Brain) -> Iterator[str]:
    with SERVERS[request.param](brain) as url:
        yield url


def test_search_prints_a_table(url: str, brain: Brain) -> None:
    options = ["--top-k", "5", "--surface", "RECO", "--min-score", "0.25", "--timeout", "9"]
    done = malgil("search", "돈", "--url", url, *options)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "#  score   name  path       phrase",
        "1  0.9000  돈    홈 > 송금  돈 보내기",
        "2  0.5000  �                이체",
    ]
    ((_, inputs),) = brain.requests
    assert {name: array.item() for name, array in inputs.items()} == {
        "query": "돈".encode(),
        "top_k": 5,
        "surface": b"RECO",
        "min_score": 0.25,
    }


def test_search_prints_one_json_object(url: str) -> None:
    done = malgil("search", "돈", "--json", env={"MALGIL_URL": url})
    assert json.loads(done.stdout) == {
        "generation": 42,
        "hits": [
            {"id": 11, "name": "돈", "path": "홈 > 송금", "score": 0.9, "phrase": "돈 보내기"},
            {"id": 7, "name": "�", "path": "", "score": 0.5, "phrase": "이체"},
        ],
    }
    assert "송금" in done.stdout  # to be read, not escaped


@pytest.mark.parametrize(
    ("said", "code", "text"),
    [
        (fake_triton.BLANK, 3, "query: the text is blank"),
        (fake_triton.QUEUE_FULL, 4, "Exceeds maximum queue size"),
        (fake_triton.NO_CATALOG, 5, "no catalog is published"),
        (fake_triton.QUEUE_TIMEOUT, 6, "Request timeout expired"),
        (("INTERNAL", "oops\n\nAt:\n  model.py(9): execute\n"), 1, "oops"),
    ],
)
def test_each_failure_is_one_sentence_and_a_code_of_its_own(
    url: str, brain: Brain, said: tuple[str, str], code: int, text: str
) -> None:
    brain.failures = [said] * 3
    done = malgil("search", "돈", "--url", url)
    assert (done.returncode, done.stdout, done.stderr) == (code, "", f"malgil: {text}\n")


def test_a_missing_server_and_a_slow_one_are_told_apart(url: str, brain: Brain) -> None:
    for missing in ("127.0.0.1:1", "http://127.0.0.1:1"):
        done = malgil("search", "돈", "--url", missing)
        assert (done.returncode, done.stderr) == (5, f"malgil: cannot reach {missing}: Connection refused\n")
    brain.delay = 3
    done = malgil("search", "돈", "--url", url, "--timeout", "0.3")
    assert (done.returncode, done.stderr) == (6, "malgil: no answer within 0.3 s\n")


@pytest.mark.parametrize(
    "arguments", [(), ("search",), ("search", "돈", "--top-k", "x"), ("search", "돈", "--url", "ftp://h:1")]
)
def test_wrong_usage_exits_2(arguments: tuple[str, ...]) -> None:
    done = malgil(*arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_probe_is_quiet_about_success_and_plain_about_failure(url: str, brain: Brain) -> None:
    healthy = malgil("probe", "--url", url, "--timeout", "5")
    assert (healthy.returncode, healthy.stderr) == (0, "")
    assert healthy.stdout.startswith("ready: generation 42, answered in ")
    assert healthy.stdout.count("\n") == 1
    brain.failures = [fake_triton.DEAD_STUB]
    sick = malgil("probe", "--url", url)
    assert (sick.returncode, sick.stdout) == (1, "")
    assert sick.stderr == "malgil: Stub process 'scorer_0_0' is not healthy.\n"


@pytest.mark.parametrize("url", ["127.0.0.1:1", "http://127.0.0.1:1", "ftp://h:1"])
def test_probe_exits_1_for_all_that_fails(url: str) -> None:
    done = malgil("probe", "--url", url)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)


def test_help_teaches_and_version_tells() -> None:
    for arguments in (["--help"], ["search", "--help"], ["probe", "--help"]):
        done = malgil(*arguments)
        assert done.returncode == 0
        assert "examples:" in done.stdout
    assert malgil("--version").stdout == "malgil 0.1.0\n"
    module = subprocess.run([sys.executable, "-m", "malgil", "--version"], capture_output=True, check=True)
    assert module.stdout == b"malgil 0.1.0\n"


def test_columns_line_up_whatever_the_names_are() -> None:
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


def test_a_name_cannot_break_the_table_or_command_the_terminal() -> None:
    lines = table(SearchResult((Hit(1, "송\n금\x1b[31m", "a\tb", 0.5, ""),), 1))
    assert lines.count("\n") == 1
    assert "\x1b" not in lines


def test_no_hits_is_said(url: str, brain: Brain) -> None:
    brain.no_hits = True
    done = malgil("search", "돈", "--url", url)
    assert (done.returncode, done.stdout) == (0, "no hits\n")
