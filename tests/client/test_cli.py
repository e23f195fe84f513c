"""The `malgil` command: exit codes, errors, help and the table."""

from __future__ import annotations

import json
import os
import pty
import shutil
import subprocess
import sys
import unicodedata
from collections.abc import Iterator

import pytest
from malgil import Document, DocumentsResult, Hit, SearchResult
from malgil._output import documents_table, table, width

from tests.client import fake_triton
from tests.client.fake_triton import SERVERS, Scenario

pytestmark = pytest.mark.slow


def command() -> str:
    found = shutil.which("malgil", path=os.path.dirname(sys.executable))  # noqa: PTH120
    assert found, "pip install ./client"
    return found


def malgil(*arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [command(), *arguments],
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
    "arguments",
    [
        (),
        ("search",),
        ("search", "돈", "--top-k", "x"),
        ("search", "돈", "--url", "ftp://h:1"),
        ("search", "돈", "--documents-top-k", "3"),
        ("documents", "돈", "--filter", "송금"),
        ("documents", "돈", "--filter", '["송금"]'),
        ("documents", "돈", "--filter", "[" * 100_000),
    ],
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
    for arguments in (["--help"], ["search", "--help"], ["suggest", "--help"], ["probe", "--help"]):
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


DOCUMENTS = """\
#  score   title      url
1  0.8750  이체 한도  https://help.example.com/limit
   하루 이체 한도는 앱에서 늘릴 수 있어요.
2  0.5000  해외 송금
   수수료는 나라마다 달라요.
"""


def test_documents_are_printed_with_title_address_and_snippet(url: str, scenario: Scenario) -> None:
    options = ["--top-k", "2", "--filter", '{"category": "송금"}', "--deadline-ms", "300"]
    done = malgil("documents", "이체 한도", "--url", url, *options)
    assert (done.returncode, done.stdout, done.stderr) == (0, DOCUMENTS, "")
    sent = {name: array.item() for name, array in scenario.requests[0][1].items()}
    assert (sent["documents_top_k"], sent["documents_deadline_ms"]) == (2, 300)
    assert json.loads(sent["documents_filter"]) == {"category": "송금"}


def test_all_prints_services_and_documents_below_them(url: str, scenario: Scenario) -> None:
    options = ["--documents-top-k", "2", "--documents-filter", "{}", "--documents-deadline-ms", "300"]
    done = malgil("search", "이체 한도", "--all", "--top-k", "3", "--url", url, *options)
    services = malgil("search", "이체 한도", "--url", url).stdout
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{services}\n{DOCUMENTS}", "")
    sent = {name: array.item() for name, array in scenario.requests[0][1].items()}
    assert (sent["top_k"], sent["documents_top_k"], sent["documents_deadline_ms"]) == (3, 2, 300)


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        ("late", "no documents: the engine did not answer within the deadline"),
        ("unavailable", "no documents: the engine is down, or holds none for the server's encoder"),
        ("off", "no documents: the server has no engine for them"),
    ],
)
def test_documents_that_are_missing_are_explained_and_services_printed_nevertheless(
    url: str, scenario: Scenario, status: str, sentence: str
) -> None:
    scenario.documents_status = status
    done = malgil("documents", "송금", "--url", url)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{sentence}\n", "")
    done = malgil("search", "송금", "--all", "--url", url)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{malgil('search', '송금', '--url', url).stdout}\n{sentence}\n"


def test_documents_as_json_carry_status_and_every_field(url: str) -> None:
    first, second = (answer := json.loads(malgil("documents", "이체 한도", "--json", "--url", url).stdout))["documents"]
    assert (answer["status"], second["id"], second["highlights"]) == ("ok", "abroad", [])
    assert first == {
        "id": "limit",
        "title": "이체 한도",
        "snippet": "하루 이체 한도는 앱에서 늘릴 수 있어요.",
        "highlights": [[3, 5], [6, 9]],
        "url": "https://help.example.com/limit",
        "category": "송금",
        "score": 0.875,
    }
    both = json.loads(malgil("search", "이체 한도", "--all", "--json", "--url", url).stdout)
    services = json.loads(malgil("search", "이체 한도", "--json", "--url", url).stdout)
    assert both == {"services": services, "documents": answer}


def test_the_words_of_the_query_are_bold_on_a_terminal(url: str) -> None:
    ours, its = pty.openpty()
    with subprocess.Popen([command(), "documents", "이체 한도", "--url", url], stdout=its) as running:
        assert running.wait(60) == 0
    os.close(its)
    printed = os.read(ours, 10_000).decode()
    os.close(ours)
    assert "   하루 \x1b[1m이체\x1b[0m \x1b[1m한도는\x1b[0m 앱에서 늘릴 수 있어요." in printed


def test_control_characters_in_a_document_do_not_reach_the_terminal_and_bold_words_keep_their_place() -> None:
    document = Document("a", "제\n목", "하루\x1b[31m\n한도", ((8, 10),), "https://\x1b]8;;", "", 0.5)
    lines = documents_table(DocumentsResult((document,), "ok"), bold=True).splitlines()
    assert len(lines) == 3
    assert lines[2] == "   하루 [31m \x1b[1m한도\x1b[0m"
    assert "\x1b" not in lines[1]
    assert documents_table(DocumentsResult((), "ok")) == "no documents"
