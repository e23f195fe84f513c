"""Services and documents by one request: the ensemble unified, and the retriever in a running Triton."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import malgil
import numpy as np
import pytest
from tritonclient import grpc
from tritonclient.utils import np_to_triton_dtype

from documents.embedded import embedded
from export import ROOT
from server.launcher import Server
from server.ports import free_ports
from tests.client.blocking import open_client
from tests.documents.corpus import DOCUMENTS
from tests.live import until

SEARCH_OUTPUTS = ("id", "name", "path", "phrase", "score", "dense", "lexical", "generation", "refused_by")
DOCUMENT_OUTPUTS = (
    "document_id", "title", "snippet", "highlights", "url", "category", "document_score", "documents_status",
)  # fmt: skip
TYPES = {"top_k": np.int32, "documents_top_k": np.int32, "documents_deadline_ms": np.int32, "min_score": np.float32}


def ask(server: Server, model: str, outputs: tuple[str, ...], **inputs: Any) -> dict[str, list[Any]]:
    """The outputs of one query."""
    sent = []
    for name, value in inputs.items():
        raw = value.encode() if isinstance(value, str) else value
        array = np.array([[raw]], dtype=TYPES.get(name, np.object_))
        sent.append(grpc.InferInput(name, [1, 1], np_to_triton_dtype(array.dtype)))
        sent[-1].set_data_from_numpy(array)
    with grpc.InferenceServerClient(server.grpc_url) as client:
        answer = client.infer(model, sent, outputs=[grpc.InferRequestedOutput(name) for name in outputs])
    return {
        name: [one.decode() if isinstance(one, bytes) else one for one in answer.as_numpy(name)[0].tolist()]
        for name in outputs
    }


def answered(server: Server) -> Mapping[str, int]:
    """How many requests each model has answered."""
    with grpc.InferenceServerClient(server.grpc_url) as client:
        return {model.name: model.inference_count for model in client.get_inference_statistics().model_stats}


@pytest.fixture(scope="module")
def engine() -> Iterator[str]:
    """The address of an engine."""
    with embedded() as uri:
        yield uri


@pytest.fixture(scope="module")
def documented(
    repository: Path, index: Path, engine: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A server with an engine that holds DOCUMENTS."""
    file = tmp_path_factory.mktemp("articles") / "articles.jsonl"
    file.write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in DOCUMENTS), encoding="utf-8")
    log = tmp_path_factory.mktemp("log") / "triton.log"
    with log.open("wb") as stream:
        running = Server(repository, free_ports(), log=stream)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("MALGIL_DOCUMENTS", engine)
            running.start()
        try:
            running.wait_ready()
            command = [sys.executable, "-m", "documents", "ingest", str(file), "--engine", engine]
            ended = subprocess.run(
                [*command, "--url", running.grpc_url], cwd=ROOT, capture_output=True, text=True, check=False
            )
            assert ended.returncode == 0, ended.stderr
            wait_for_documents(running)
            yield running
            assert running.process.poll() is None, log.read_text(errors="replace")[-3000:]
        finally:
            running.stop()


def wait_for_documents(server: Server) -> None:
    """Wait until the retriever has found the documents."""
    for _ in range(1000):
        status = ask(server, "unified", ("documents_status",), query="송금", documents_deadline_ms=1000)
        if status["documents_status"] == ["ok"]:
            return
    raise AssertionError(f"the documents are {status['documents_status'][0]}")


def test_one_request_brings_the_service_and_the_article(documented: Server) -> None:
    found = ask(
        documented, "unified", (*SEARCH_OUTPUTS, *DOCUMENT_OUTPUTS), query="이체 한도 올리기",
        documents_deadline_ms=5000,
    )  # fmt: skip
    assert found["name"][0] == "이체 한도 변경"
    assert found["documents_status"] == ["ok"]
    assert (found["document_id"][0], found["title"][0]) == ("limit", "이체 한도 올리기")
    assert found["url"][0] == "https://help.example.com/limit"
    spans = json.loads(found["highlights"][0])
    assert "한도" in {found["snippet"][0][start:end] for start, end in spans}
    assert len(found["document_id"]) == 5
    assert found["document_id"][4] == ""
    assert found["document_score"][4] == -1


@pytest.mark.parametrize("query", ["카드를 잃어버렸어요", "송ㄱ", "저녁에 김치찌개 어떻게 끓여?"])
def test_services_are_those_of_search_hit_for_hit(documented: Server, query: str) -> None:
    alone = ask(documented, "search", SEARCH_OUTPUTS, query=query, top_k=7)
    assert ask(documented, "unified", SEARCH_OUTPUTS, query=query, top_k=7) == alone


def test_documents_are_those_of_the_command_that_owners_try_them_with(documented: Server, engine: str) -> None:
    found = ask(
        documented, "unified", ("title",), query="송금 수수료", documents_top_k=2, documents_deadline_ms=5000
    )  # fmt: skip
    command = [sys.executable, "-m", "documents", "search", "송금 수수료", "--top-k", "2", "--engine", engine]
    shown = subprocess.run(
        [*command, "--url", documented.grpc_url], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    titles = [line.split("  ")[1] for line in shown.splitlines() if not line.startswith(" ")]
    assert titles == [title for title in found["title"] if title]


def test_documents_alone_cost_no_ranking_of_services_and_services_alone_no_call_of_the_engine(
    documented: Server,
) -> None:
    before = answered(documented)
    ask(documented, "documents", DOCUMENT_OUTPUTS, query="송금 수수료", documents_top_k=3)
    ask(documented, "unified", SEARCH_OUTPUTS, query="송금 수수료", documents_top_k=3, documents_filter="{}")
    asked = {"encoder": 2, "scorer": 1, "retriever": 1}
    until(lambda: all(number >= before[name] + asked.get(name, 0) for name, number in answered(documented).items()))
    after = answered(documented)
    assert after["encoder"] - before["encoder"] == 2
    assert 1 <= after["scorer"] - before["scorer"] <= 1 + 4  # the server's own check of its health searches, too
    assert after["retriever"] - before["retriever"] == 1


@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_the_client_finds_service_and_article_with_its_words_marked(
    documented: Server, protocol: str, mode: str
) -> None:
    url = documented.grpc_url if protocol == "grpc" else documented.http_url
    with open_client(mode, url, timeout=30) as client:
        options = {"documents_top_k": 2, "documents_filter": {"surface": "HELP"}, "documents_deadline_ms": 5000}
        both = client.search_all("이체 한도 올리기", top_k=3, **options)
        alone = client.search_documents("이체 한도 올리기", top_k=2, filter={"surface": "HELP"}, deadline_ms=5000)
    assert (both.services[0].name, both.documents.status) == ("이체 한도 변경", "ok")
    assert {document.id for document in both.documents} == {"limit", "lost"}
    best = both.documents[0]
    assert (best.id, best.title, best.url) == ("limit", "이체 한도 올리기", "https://help.example.com/limit")
    assert "한도" in {best.snippet[start:end] for start, end in best.highlights}
    assert [document.id for document in alone] == [document.id for document in both.documents]


def test_a_filter_leaves_the_documents_that_fit_it(documented: Server) -> None:
    found = ask(
        documented, "unified", ("document_id",), query="송금 수수료", documents_filter='{"surface": "HELP"}',
        documents_deadline_ms=5000,
    )  # fmt: skip
    assert {one for one in found["document_id"] if one} == {"limit", "lost"}


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("documents_top_k", 21, "documents_top_k is 21: it must be from 1 to 20"),
        ("documents_deadline_ms", 0, "documents_deadline_ms is 0: it must be from 1 to 10000"),
        ("documents_filter", '{"id": 1}', 'documents_filter has "id"'),
        ("documents_filter", "[" * 2000, "documents_filter"),
        ("documents_filter", '{"category": "x\' or true"} or 1', "documents_filter is not JSON"),
    ],
)
def test_a_bad_option_is_named_with_its_bound(documented: Server, name: str, value: Any, sentence: str) -> None:
    with pytest.raises(grpc.InferenceServerException, match=r"INVALID_ARGUMENT") as refused:
        ask(documented, "unified", ("documents_status",), query="송금", **{name: value})
    assert sentence in str(refused.value)


def test_a_filter_of_an_attacker_is_a_category_that_no_document_has(documented: Server) -> None:
    chosen = json.dumps({"category": 'x"] or open == false or category_key in ["'})
    found = ask(
        documented, "unified", ("document_id", "documents_status"), query="예전 수수료", documents_filter=chosen,
        documents_deadline_ms=5000,
    )  # fmt: skip
    assert set(found["document_id"]) == {""}
    assert found["documents_status"] == ["ok"]


def test_without_an_engine_services_come_and_documents_are_off(server: Server) -> None:
    found = ask(server, "unified", ("name", "title", "documents_status"), query="이체 한도 올리기")
    assert found["name"][0] == "이체 한도 변경"
    assert set(found["title"]) == {""}
    assert found["documents_status"] == ["off"]


@pytest.mark.live
def test_refused_options_leave_nothing_in_flight_that_keeps_the_server_from_stopping(
    repository: Path, index: Path, tmp_path: Path
) -> None:
    with (tmp_path / "triton.log").open("wb") as stream:
        running = Server(repository, free_ports(), log=stream)
        with running:
            running.wait_ready()
            with running.client() as client:
                for _ in range(10):
                    with pytest.raises(malgil.BadRequest):
                        client.search_all("송금", top_k=5000)
                    with pytest.raises(malgil.BadRequest):
                        client.search_all("송금", documents_filter={"id": 1})
                    with pytest.raises(malgil.BadRequest):
                        client.search_documents("송금", filter={"id": 1})
        assert running.stop() == 0
