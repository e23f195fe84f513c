"""What apps are told when the engine is slow, down, empty or not there, each time within the deadline."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from malgil_core.documents.request import DocumentsRequest
from malgil_core.documents.types import DocumentOptions
from malgil_core.encoder import EncoderMetadata

from benchmarks.documents.proxy import Proxy
from documents.collection import ALIAS
from documents.embedded import embedded
from documents.engine import Access, Engine
from documents.ingest import Embed
from documents.passages import Splitter
from documents.retriever import Retriever
from documents.search import Searcher
from tests.documents.corpus import DOCUMENTS, Corpus
from tests.live import until

STALLED = float("inf")
LONG = 30.0  # seconds that a test waits for what must happen


class Stand:
    """An engine with documents behind a proxy, which can be stopped and started, and a retriever that asks it."""

    def __init__(
        self, folder: Path, encoder: EncoderMetadata, splitter: Splitter, embed: Callable[[str], Embed]
    ) -> None:
        self.folder, self.embed, self.logged = folder, embed, list[str]()
        self.engine = ExitStack()
        self.proxy = Proxy(self.start())
        engine = Engine(Access(f"http://127.0.0.1:{self.proxy.port}"))
        self.corpus = Corpus(engine, ALIAS, encoder, splitter, embed)
        self.corpus.ingest(*DOCUMENTS)

    def start(self) -> int:
        """Start the engine; its port."""
        return int(self.engine.enter_context(embedded(str(self.folder))).rsplit(":", 1)[1])

    def retriever(self, fingerprint: str = "") -> Retriever:
        """A retriever behind the proxy."""
        fingerprint = fingerprint or self.corpus.encoder.fingerprint
        return Retriever(Access(self.proxy.uri), fingerprint, lambda _, sentence: self.logged.append(sentence))

    def request(self, query: str = "송금 수수료", deadline: float = 5.0) -> DocumentsRequest:
        """A request of one query."""
        return DocumentsRequest([query], self.embed("query")([query]), [DocumentOptions(2)], deadline)

    def ask(self, retriever: Retriever, deadline: float = 5.0) -> tuple[str, list[str], float]:
        """The status, the ids of the documents, and the seconds that the answer took."""
        request = self.request(deadline=deadline)
        started = time.monotonic()
        ((status, found),) = retriever.answer([request])
        return status, [document.id for document in found[0]], time.monotonic() - started

    def slow_down(self, retriever: Retriever, delay: float, times: int = 12) -> None:
        """Delay each answer of the engine, two for a query, and ask so often that the retriever learns it."""
        self.proxy.delay = delay
        for _ in range(times):
            retriever.answer([self.request()])

    def wait_for(self, retriever: Retriever, wanted: str, seconds: float = LONG, deadline: float = 5.0) -> float:
        """Ask until the status is the wanted one; the seconds that it took."""
        started = time.monotonic()
        while (status := self.ask(retriever, deadline)[0]) != wanted:
            assert time.monotonic() - started < seconds, (status, self.logged)
            time.sleep(0.05)
        return time.monotonic() - started


@pytest.fixture(scope="module")
def shared(
    tmp_path_factory: pytest.TempPathFactory,
    encoder: EncoderMetadata,
    splitter: Splitter,
    embed: Callable[[str], Embed],
) -> Iterator[Stand]:
    """A stand for the module."""
    made = Stand(tmp_path_factory.mktemp("engine"), encoder, splitter, embed)
    with made.proxy, made.engine:
        yield made


@pytest.fixture
def stand(shared: Stand) -> Stand:
    """The stand, with a proxy that passes everything on."""
    shared.proxy.delay, shared.proxy.is_open = 0.0, True
    shared.logged.clear()
    return shared


@pytest.fixture
def retriever(stand: Stand) -> Iterator[Retriever]:
    """A retriever that has reached the engine."""
    made = stand.retriever()
    try:
        stand.wait_for(made, "ok")
        yield made
    finally:
        stand.proxy.delay = 0.0
        made.close()


def test_apps_get_what_the_searcher_finds(stand: Stand, retriever: Retriever) -> None:
    status, ids, _ = stand.ask(retriever)
    assert (status, ids) == ("ok", [document.id for document in stand.corpus.search("송금 수수료", top_k=2)])


def test_requests_that_are_answered_together_each_get_their_own_documents(stand: Stand, retriever: Retriever) -> None:
    queries = ["카드를 잃어버렸어요", "송금 수수료", "하루 이체 한도"]
    both = DocumentsRequest(queries[1:], stand.embed("query")(queries[1:]), [DocumentOptions(1)] * 2, 5.0)
    answers = retriever.answer([stand.request(queries[0]), both])
    assert [answer.status for answer in answers] == ["ok", "ok"]
    assert [[document.id for document in found][:1] for answer in answers for found in answer.found] == [
        ["lost"], ["fee"], ["limit"]
    ]  # fmt: skip


def test_without_an_engine_apps_are_told_that_documents_are_off() -> None:
    retriever = Retriever(None, "", lambda *_: None)
    request = DocumentsRequest(["송금"], np.ones((1, 3), np.float32), [DocumentOptions()], 1.0)
    assert retriever.answer([request]) == [("off", [[]])]
    retriever.close()


def test_a_slow_engine_costs_an_app_its_deadline_once_and_then_nothing(stand: Stand, retriever: Retriever) -> None:
    stand.proxy.delay = STALLED
    status, ids, seconds = stand.ask(retriever, deadline=0.5)
    assert (status, ids) == ("late", [])
    assert 0.4 < seconds < 1.5
    status, ids, seconds = stand.ask(retriever, deadline=5.0)  # while the first call is overdue
    assert (status, ids) == ("late", [])
    assert seconds < 0.4


def test_documents_are_back_when_a_slow_engine_answers(stand: Stand, retriever: Retriever) -> None:
    stand.proxy.delay = STALLED
    assert stand.ask(retriever, deadline=0.2)[0] == "late"
    stand.proxy.delay = 0.0
    stand.wait_for(retriever, "ok")


def test_an_engine_too_slow_for_any_deadline_does_not_take_the_processors_from_the_services_and_is_asked_again(
    stand: Stand, retriever: Retriever, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = 0
    search = Searcher.search

    def counted(*given: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        return search(*given, **named)

    def calls_after_one_more_is_late() -> int:
        assert stand.ask(retriever, deadline=0.25)[0] == "late"
        return calls

    stand.slow_down(retriever, 0.2, 6)
    monkeypatch.setattr(Searcher, "search", counted)
    until(lambda: calls_after_one_more_is_late() > 0, LONG)
    end = time.monotonic() + 2
    until(lambda: calls_after_one_more_is_late() > 1 or time.monotonic() > end)
    assert calls == 1  # else again as soon as it has answered
    stand.proxy.delay = 0.0
    stand.wait_for(retriever, "ok", deadline=0.25)


def test_an_engine_that_never_answers_is_given_up_and_found_again(stand: Stand, retriever: Retriever) -> None:
    stand.proxy.delay = STALLED
    stand.wait_for(retriever, "unavailable")
    assert stand.ask(retriever)[2] < 0.4
    stand.proxy.delay = 0.0
    assert stand.wait_for(retriever, "ok") < 10


def test_while_an_engine_is_down_apps_are_told_at_once_and_documents_are_back_soon_after_it(
    stand: Stand, retriever: Retriever
) -> None:
    stand.engine.close()  # the process ends
    stand.wait_for(retriever, "unavailable")
    assert stand.ask(retriever)[2] < 0.4
    stand.proxy.port = stand.start()
    assert stand.wait_for(retriever, "ok") < 10  # 5 on a machine that does nothing else
    assert stand.ask(retriever)[1][0] == "fee"


def test_a_server_can_start_before_its_engine(stand: Stand) -> None:
    stand.proxy.close_all()
    retriever = stand.retriever()
    try:
        assert stand.ask(retriever)[0] == "unavailable"
        stand.proxy.is_open = True
        stand.wait_for(retriever, "ok")
    finally:
        retriever.close()


def test_documents_of_another_encoder_are_not_searched_and_the_log_says_what_to_run(stand: Stand) -> None:
    retriever = stand.retriever("another")
    try:
        deadline = time.monotonic() + LONG
        while not stand.logged and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(1.5)  # a few attempts, one line
        assert stand.ask(retriever)[0] == "unavailable"
        assert len(stand.logged) == 1
        assert "python -m documents rebuild" in stand.logged[0]
    finally:
        retriever.close()


def test_the_time_that_a_query_was_encoded_and_waited_counts_towards_its_deadline(
    stand: Stand, retriever: Retriever
) -> None:
    stand.proxy.delay = STALLED
    started = time.monotonic()
    waited = replace(stand.request(deadline=5.0), arrived=started - 4.5)
    assert retriever.answer([waited])[0].status == "late"
    assert 0.4 < time.monotonic() - started < 1.5


def test_a_query_whose_time_is_over_does_not_take_that_of_the_next(stand: Stand, retriever: Retriever) -> None:
    stand.wait_for(retriever, "ok")
    over = replace(stand.request(deadline=0.1), arrived=time.monotonic() - 1)
    assert retriever.answer([over])[0].status == "late"
    assert stand.ask(retriever)[0] == "ok"  # no call is overdue


def test_a_batch_that_is_too_large_for_the_engine_gets_some_of_its_documents_instead_of_none(
    stand: Stand, retriever: Retriever
) -> None:
    requests = [stand.request(deadline=0.5) for _ in range(64)]
    stand.slow_down(retriever, 0.1)
    statuses = [answer.status for answer in retriever.answer(requests)]
    assert 1 <= statuses.count("ok") < 10
    assert statuses == ["ok"] * statuses.count("ok") + ["late"] * statuses.count("late")


def test_a_request_of_many_queries_does_not_take_the_documents_of_those_beside_it(
    stand: Stand, retriever: Retriever
) -> None:
    stand.slow_down(retriever, 0.1)
    one = stand.request()
    many = DocumentsRequest(one.queries * 64, one.embeddings.repeat(64, 0), one.options * 64, 5.0)
    answers = retriever.answer([many, stand.request()])
    assert [answer.status for answer in answers] == ["late", "ok"]


def test_nobody_waits_longer_than_their_own_deadline_for_a_younger_request_of_the_batch(
    stand: Stand, retriever: Retriever
) -> None:
    stand.proxy.delay = STALLED
    started = time.monotonic()
    waited = replace(stand.request(deadline=5.0), arrived=started - 4.5)
    answers = retriever.answer([waited, stand.request(deadline=5.0)])
    assert [answer.status for answer in answers] == ["late", "late"]
    assert 0.4 < time.monotonic() - started < 1.5


def test_a_request_that_has_waited_too_long_for_the_engine_does_not_take_the_documents_of_the_younger(
    stand: Stand, retriever: Retriever
) -> None:
    stand.slow_down(retriever, 0.2)
    waited = replace(stand.request(deadline=5.0), arrived=time.monotonic() - 4.95)
    answers = retriever.answer([waited, stand.request()])
    assert [answer.status for answer in answers] == ["late", "ok"]
