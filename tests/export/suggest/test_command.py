"""The commands `suggest` and `suggest accept`, with the real encoder and an endpoint on a real socket."""

from __future__ import annotations

import json
import os
import signal
import threading
from pathlib import Path

import pytest
from malgil_core.catalog import reading
from malgil_core.index.writer import Embed

from export.__main__ import main
from export.catalog import embedding
from server.launcher import Server
from store.store import Store
from tests.conftest import CATALOG, NULL_TOPICS
from tests.llm import Handler, endpoint, event, failing, in_turn, saying

pytestmark = pytest.mark.slow
KEY = "sk-secret-0123456789"
ANSWER = json.dumps(
    {"phrases": ["환전하는 메뉴 어디 있어?", "환전", "내일 비가 올까?", "exchange", "계좌이체로 송금하기"]},
    ensure_ascii=False,
)


@pytest.fixture(scope="module")
def loaded(repository: Path) -> Embed:
    """The encoder, loaded once."""
    return embedding.offline(repository)


@pytest.fixture
def offline(repository: Path, index: Path, loaded: Embed, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Options of a run without a server."""
    monkeypatch.setattr(embedding, "offline", lambda repository: loaded)
    return ["--offline", "--repository", str(repository), "--index", str(index)]


@pytest.fixture(autouse=True)
def variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MALGIL_LLM_MODEL", "m")
    monkeypatch.setenv("MALGIL_LLM_KEY", KEY)
    monkeypatch.delenv("MALGIL_LLM_URL", raising=False)
    monkeypatch.setenv("COLUMNS", "200")


def test_proposals_are_shown_written_kept_by_a_person_and_added(
    offline: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog, written = tmp_path / "finance.jsonl", tmp_path / "proposals.jsonl"
    catalog.write_bytes(CATALOG.read_bytes())
    with endpoint(saying(f"<think>음…</think>```json\n{ANSWER}\n```")) as server:
        monkeypatch.setenv("MALGIL_LLM_URL", server.url)
        ask = ["suggest", str(catalog), "--service", "exchange", "--null-topics", str(NULL_TOPICS), "--count", "5"]
        assert main([*ask, "--write", str(written), *offline]) == 0
        assert main([*ask, "--write", str(written), *offline]) == 1  # somebody's choices are not written over
    out, err = capsys.readouterr()
    assert "proposals.jsonl is there already" in err
    rows = {
        cells[0]: cells for line in out.splitlines() if len(cells := [c.strip() for c in line.split("│")[1:-1]]) == 4
    }
    assert rows["환전하는 메뉴 어디 있어?"][3] == "good"
    assert rows["환전"][3] == "there already: 환전 (환전)"
    assert rows["exchange"][3] == "not Korean: no Hangul syllable"
    assert rows["내일 비가 올까?"][3].startswith("nearer to null topic")
    assert rows["계좌이체로 송금하기"][3].startswith("nearer to service")
    assert "계좌이체" in rows["계좌이체로 송금하기"][2]
    assert KEY not in out + err
    (request, *_) = server.requests
    assert "문구를 5개" in request.body["messages"][0]["content"]
    assert "환전" in request.body["messages"][0]["content"]

    assert main(["suggest", "accept", str(catalog), str(written)]) == 1
    assert "nothing is kept" in capsys.readouterr().err
    lines = written.read_text(encoding="utf-8").splitlines()
    assert len(lines) == 5
    written.write_text("\n".join(lines).replace('"keep": false', '"keep": true', 1), encoding="utf-8")
    assert main(["suggest", "accept", str(catalog), str(written)]) == 0
    assert "1 phrases added to 1 services; nothing is published yet" in capsys.readouterr().out
    (service,) = (one for one in reading.read(catalog) if one.service_id == "exchange")
    assert service.phrases[-1] == json.loads(lines[0])["phrase"]


def test_the_running_server_embeds_unless_told_otherwise(
    server: Server, repository: Path, index: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with endpoint(saying(ANSWER)) as llm:
        options = ["--url", server.grpc_url, "--repository", str(repository), "--index", str(index)]
        assert main(["suggest", "propose", str(CATALOG), "--service", "100", "--llm-url", llm.url, *options]) == 0
    assert "송금 (transfer): " in capsys.readouterr().out


def test_without_a_server_it_is_said_what_to_do(
    repository: Path, index: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with endpoint(saying(ANSWER)) as llm:
        options = ["--url", "127.0.0.1:1", "--repository", str(repository), "--index", str(index)]
        assert main(["suggest", str(CATALOG), "--service", "100", "--llm-url", llm.url, *options]) == 1
    assert "ask with --offline" in capsys.readouterr().err


def test_one_service_without_phrases_costs_no_other_its_own_nor_what_was_written(
    offline: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written = tmp_path / "proposals.jsonl"
    with endpoint(in_turn([saying("lorem ipsum\ndolor"), saying(ANSWER), failing(401)])) as llm:
        services = ["--service", "transfer", "--service", "exchange", "--service", "transfer-account"]
        options = ["--llm-url", llm.url, "--write", str(written)]
        assert main(["suggest", str(CATALOG), *services, *options, *offline]) == 1
    err = capsys.readouterr().err
    assert "transfer: m at http://127.0.0.1" in err
    assert "gave no usable phrase; its answer begins: 'lorem ipsum dolor'" in err
    assert "refused the key in MALGIL_LLM_KEY" in err
    assert {json.loads(line)["service_id"] for line in written.read_text(encoding="utf-8").splitlines()} == {"exchange"}


def test_a_cut_answer_is_said_to_be_one(offline: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    def behave(handler: Handler) -> None:
        handler.start()
        handler.write(event("- 돈 부치는 메뉴\n- 돈 쏘"))

    with endpoint(behave) as llm:
        assert main(["suggest", str(CATALOG), "--service", "transfer", "--llm-url", llm.url, *offline]) == 0
    out, err = capsys.readouterr()
    assert "broke off its answer; the whole phrases count" in err
    assert "돈 부치는 메뉴" in out
    assert "돈 쏘 " not in out


def test_a_model_moves_no_cursor_of_the_terminal(offline: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with endpoint(saying("돈 부치는 메뉴\n돈\x1b[2J 부치기\n[bold]돈[/bold] 쏘기")) as llm:
        assert main(["suggest", str(CATALOG), "--service", "transfer", "--llm-url", llm.url, *offline]) == 0
    out = capsys.readouterr().out
    assert "\x1b[2J" not in out
    assert "[bold]돈[/bold] 쏘기" in out


def test_a_catalog_in_a_database_is_asked_for_as_one_in_a_file(
    offline: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"sqlite:///{tmp_path}/catalog.db"
    with Store.open(url) as store:
        store.replace(CATALOG.read_bytes(), "finance.jsonl", by="import")
    with endpoint(saying(ANSWER)) as llm:
        assert main(["suggest", url, "--service", "exchange", "--llm-url", llm.url, *offline]) == 0
        assert "환전하는 메뉴 어디 있어?" in capsys.readouterr().out
        missing = f"sqlite:///{tmp_path}/typo.db"
        assert main(["suggest", missing, "--service", "exchange", "--llm-url", llm.url, *offline]) == 1
    assert "typo.db" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "status", "sentence"),
    [
        (["--service", "transfer"], 1, "no endpoint: set MALGIL_LLM_URL"),
        (["--service", "transfer", "--llm-url", "localhost:1"], 1, "localhost:1 is no address"),
        (["--service", "no-such", "--llm-url", "http://x/v1"], 1, 'no service has the id or service_id "no-such"'),
        (["--fewer-than", "1", "--llm-url", "http://x/v1"], 1, "each open service has 1 phrases or more"),
        ([], 2, "name services by --service or --fewer-than"),
        (["--service", "x", "--llm-fields", "[1]"], 2, "[1] is no JSON object"),
        (
            ["--service", "x", "--llm-fields", '{"model": "y"}', "--llm-url", "http://x/v1"],
            1,
            "model cannot be a further",
        ),
        (["--service", "x", "--llm-timeout", "0"], 2, "0 is not from 1 to 3600"),
        (["--service", "x", "--llm-key", KEY], 2, "No such option"),
    ],
)
def test_a_mistake_in_the_command_is_named(
    arguments: list[str], status: int, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["suggest", str(CATALOG), *arguments, "--offline"]) == status
    assert sentence in " ".join(capsys.readouterr().err.split())


def test_services_with_few_phrases_are_found() -> None:
    from export.suggest.choosing import chosen

    services = reading.read(CATALOG)
    few = chosen(services, ["transfer"], 5)
    assert few[0].service_id == "transfer"
    assert len(few) == len({one.id for one in few}) > 1
    assert all(one.open and len(one.phrases) < 5 for one in few[1:])


def test_interrupting_ends_in_a_sentence(offline: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    stop = threading.Event()

    def behave(handler: Handler) -> None:
        handler.start()
        os.kill(os.getpid(), signal.SIGINT)
        stop.wait(60)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a worker of pytest-xdist ignores it
    try:
        with endpoint(behave) as llm:
            assert main(["suggest", str(CATALOG), "--service", "100", "--llm-url", llm.url, *offline]) == 1
    finally:
        stop.set()
        signal.signal(signal.SIGINT, before)
    assert capsys.readouterr().err.strip() == "interrupted; nothing was replaced"
