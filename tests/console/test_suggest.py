"""제안: what a language model suggests gets into a service by a person's decision alone, and nothing typed is lost."""

from __future__ import annotations

import json
import re
import threading
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from html import unescape
from typing import Any, get_args

import numpy as np
import pytest
from malgil_core.catalog.null_topic import NullTopic
from malgil_core.index.building import Vectors

from console.app import make_app
from console.draft import Draft
from console.settings import Settings
from console.suggestions import Suggestions, jobs, sentences
from export.suggest.errors import Code
from export.suggest.proposals import Verdict
from export.suggest.settings import Settings as Endpoint
from store.store import Store
from tests import llm
from tests.console.conftest import SECRET, Person, fields

KEY = "sk-secret-0123456789"
ID, KEPT, OTHERS = 103, "원하는 날짜에 예약 이체", "계좌번호로 돈 보내기"
ANSWER = [KEPT, "<script>alert(1)</script>돈", OTHERS, "예약 이체", "scheduled transfer"]
PATH = f"/suggest/{ID}"


def pairs(texts: Sequence[str]) -> Vectors:
    """Vectors of pairs of letters: no encoder, but texts with the same words are near to each other."""
    vectors = np.zeros((len(texts), 256), np.float32)
    for row, text in enumerate(texts):
        for pair in zip(f" {text}", f"{text} ", strict=True):
            vectors[row, zlib.crc32("".join(pair).encode()) % 256] += 1
    return vectors


def saying(phrases: Sequence[str]) -> llm.Behaviour:
    return llm.saying(json.dumps({"phrases": list(phrases)}, ensure_ascii=False))


class Console:
    """A console with an endpoint, and somebody who uses it."""

    def __init__(self, settings: Settings, store: Store, server: llm.Server, timeout: float) -> None:
        endpoint = Endpoint(server.url, "my-model", KEY, timeout=timeout, tries=1)
        self.store, self.server = store, server
        self.suggestions = Suggestions(store.catalog, pairs, endpoint)
        self.app = make_app(settings, store, SECRET, suggestions=self.suggestions)
        self.me = Person(self.app)

    def ask(self, id: int = ID) -> str:
        """Ask for phrases, and wait: the page."""
        assert self.me.send(f"/suggest/{id}", {"count": "5"}).status_code == 303
        self.suggestions.wait(self.store.service(id).key)
        return unescape(self.me.page(f"/suggest/{id}"))

    def decide(self, what: str, proposal: str, phrase: str = "", **headers: str) -> Any:
        """Press a button of a proposal, in the version that the page shows."""
        version = re.search(r'name="version" value="(\d+)"', self.me.page(PATH))
        data = {"proposal": proposal, "phrase": phrase or proposal, "version": version[1] if version else "1"}
        return self.me.send(f"{PATH}/{what}", data, headers=headers)

    def shown(self) -> list[str]:
        """The proposals on the page."""
        return [unescape(text) for text in re.findall(r'name="proposal" value="([^"]*)"', self.me.page(PATH))]


@contextmanager
def running(settings: Settings, store: Store, behave: llm.Behaviour, timeout: float = 30) -> Iterator[Console]:
    with llm.endpoint(behave) as server:
        console = Console(settings, store, server, timeout)
        yield console
        console.suggestions.stop()


@pytest.fixture
def console(settings: Settings, store: Store) -> Iterator[Console]:
    """A console whose endpoint always says ANSWER."""
    with running(settings, store, saying(ANSWER)) as made:
        yield made


def test_each_proposal_is_shown_with_its_verdict_and_what_lies_near_in_korean(console: Console) -> None:
    html = console.ask()
    assert console.shown()[0] == KEPT
    for sentence in (
        "겹치거나 헷갈릴 만한 문장이 없어요",
        "이 서비스보다 다른 서비스 ‘계좌번호로 보내기’에 더 가까워요",
        "이미 있는 문장이에요: 예약 이체",
        "한국어 문장이 아니에요",
    ):
        assert sentence in html
    assert re.search(r"다른 곳에서 가장 가까운 문장: ‘[^’]+’ \d\.\d\d\s+\(<a href=\"/services/\d+\">", html)
    assert "<script>alert(1)" not in console.me.page(PATH)
    (request,) = console.server.requests
    assert "예약" in request.body["messages"][0]["content"]
    assert KEY not in html
    record = console.store.history(limit=1)[0]
    assert (record.action, record.note) == ("suggest", console.server.url)
    assert "제안받음" in console.me.page("/audit")


def test_nothing_gets_into_the_service_but_what_a_person_accepts_as_it_was_changed(console: Console) -> None:
    before = console.store.service(ID).value.phrases
    console.ask()
    assert console.store.service(ID).value.phrases == before
    answer = console.decide("accept", KEPT, "원하는  날짜에 예약 이체 걸기")
    assert answer.headers["location"] == f"{PATH}?done=accepted"
    saved = console.store.service(ID)
    assert saved.value.phrases == (*before, "원하는 날짜에 예약 이체 걸기")
    record = console.store.history(kind="service", key=saved.key, limit=1)[0]
    assert (record.action, record.note, record.by) == ("change", "제안", saved.changed_by)
    assert KEPT not in console.shown()
    console.decide("accept", OTHERS)
    assert console.store.service(ID).value.phrases[-1] == OTHERS


def test_a_rejected_phrase_does_not_come_back_for_this_service_but_for_another(console: Console) -> None:
    console.ask()
    console.decide("reject", KEPT)
    assert KEPT not in console.shown()
    console.ask()
    assert KEPT not in console.shown()
    assert KEPT in console.ask(104)
    for text in console.shown():
        console.decide("reject", text)
    assert sentences.NOTHING_NEW in console.ask()
    assert "결정할 제안이 없어요" in console.me.page(PATH)


def test_what_was_typed_stays_where_it_cannot_be_saved_and_why_is_said(console: Console) -> None:
    console.store.save_null_topic(NullTopic("로또", ("로또 번호",)), None, by="test", expected=None)
    console.ask()
    before = console.store.revision()
    cases = {"로또 번호": "앱에 없는 것", " ": "문장을 적어", "예약 이체": "이미 있는", "가" * 3000: "너무 길어요"}
    for typed, why in cases.items():
        refused = console.decide("accept", KEPT, typed)
        assert refused.status_code == 422
        html = unescape(refused.text)
        assert f'value="{typed}"' in html
        assert re.search(rf'<p class="error" role="alert">[^<]*{why}', html)
        assert OTHERS in html
    unknown = console.decide("accept", "콘솔이 새로 시작되기 전의 제안", "로또 번호")
    assert 'value="로또 번호"' in unknown.text
    assert console.store.revision() == before


def test_somebody_elses_save_meanwhile_is_shown_and_both_are_kept(console: Console) -> None:
    console.ask()
    stored = console.store.service(ID)
    other = replace(stored.value, memo="남의 메모", phrases=(*stored.value.phrases, "남의 문장"))
    form = {"proposal": KEPT, "phrase": "내가 고친 문장", "version": str(stored.version)}
    console.store.save_service(other, by="junho", expected=stored.version)
    conflict = console.me.send(f"{PATH}/accept", form)
    assert conflict.status_code == 409
    for text in ("junho 님이", "남의 문장", "남의 메모", "내가 고친 문장"):
        assert text in conflict.text
    assert console.store.service(ID).value == other
    assert f'href="{PATH}">내 내용 버리기' in conflict.text
    chosen = fields(conflict.text, f"{PATH}/accept")
    assert (chosen["choice.phrases"], chosen["choice.memo"]) == ("both", "theirs")
    assert console.me.http.post(f"{PATH}/accept", data=chosen).headers["location"].endswith("?done=accepted")
    saved = console.store.service(ID)
    assert saved.value == replace(other, phrases=(*other.phrases, "내가 고친 문장"))
    assert console.store.history(kind="service", limit=1)[0].note == "제안"
    assert KEPT not in console.shown()


def test_a_service_that_was_deleted_meanwhile_gives_back_what_was_typed(console: Console) -> None:
    console.ask()
    console.store.delete_service(ID, by="junho", expected=console.store.service(ID).version)
    form = {"proposal": KEPT, "phrase": "내가 고친 문장", "version": "1"}
    gone = console.me.send(f"{PATH}/accept", form)
    assert gone.status_code == 404
    assert "내가 고친 문장" in gone.text


def test_fields_of_other_proposals_keep_what_was_typed_as_one_is_decided_on(console: Console) -> None:
    console.ask()
    done = console.decide("accept", KEPT, **{"HX-Request": "true"})
    html = done.text
    assert "<html" not in html
    assert "문장을 넣었어요" in html
    assert html.count("autofocus") == 1
    assert f"<li>{KEPT}</li>" in html[html.index('id="own"') :]
    inputs = re.findall(r'<input class="grow"[^>]*>', html)
    assert len(inputs) == len(ANSWER) - 1
    assert all("hx-preserve" in one for one in inputs)
    refused = console.decide("accept", OTHERS, "예약 이체", **{"HX-Request": "true"})
    assert refused.status_code == 200  # htmx would not show another one
    assert 'value="예약 이체"' in refused.text
    version = re.search(r'name="version" value="(\d+)"', html)
    assert version
    assert int(version[1]) == console.store.service(ID).version
    stale = console.me.send(
        f"{PATH}/accept", {"proposal": OTHERS, "phrase": OTHERS, "version": "1"}, headers={"HX-Request": "true"}
    )
    assert stale.headers["HX-Retarget"] == "#content"
    assert "고른 대로 저장" in stale.text


def test_without_an_endpoint_the_page_says_how_to_have_one(settings: Settings, store: Store) -> None:
    draft = Draft(store, settings.access.client, settings.index, settings.repository)
    assert Suggestions.of(draft, {}) is None
    me = Person(make_app(settings, store, SECRET))
    for path in ("/suggest", PATH):
        html = me.page(path)
        assert "MALGIL_LLM_URL" in html
        assert "아직 연결되어 있지 않아요" in html
        assert "제안받기</button>" not in html
    assert me.send(PATH).status_code == 503
    wrong = Suggestions.of(draft, {"MALGIL_LLM_URL": "localhost", "MALGIL_LLM_MODEL": "m"})
    html = Person(make_app(settings, store, SECRET, suggestions=wrong)).page(PATH)
    assert sentences.FAULTS["settings"] in html


def test_before_the_draft_is_built_the_page_says_to_wait(settings: Settings, store: Store) -> None:
    draft = Draft(store, settings.access.client, settings.index, settings.repository)
    suggestions = Suggestions.of(draft, {"MALGIL_LLM_URL": "http://127.0.0.1:1/v1", "MALGIL_LLM_MODEL": "m"})
    assert suggestions
    me = Person(make_app(settings, store, SECRET, suggestions=suggestions))
    me.send(PATH)
    suggestions.wait(store.service(ID).key)
    assert "초안을 만들고 있어요" in me.page(PATH)


def test_every_fault_and_every_verdict_has_a_korean_sentence() -> None:
    assert set(sentences.FAULTS) == set(get_args(Code))
    assert set(sentences.VERDICTS) == set(get_args(Verdict))
    for sentence in (*sentences.FAULTS.values(), *sentences.VERDICTS.values(), *sentences.STEPS.values()):
        assert re.search(r"[가-힣]", sentence)


@pytest.mark.parametrize(
    ("behave", "code"),
    [
        (llm.failing(401, f"bad key {KEY}"), "key"),
        (llm.failing(404), "model"),
        (llm.failing(429), "busy"),
        (llm.failing(503), "server"),
        (llm.failing(418), "refused"),
        (lambda handler: handler.answer(200, b"<html>hello</html>", "text/html"), "protocol"),
        (llm.sending(b"data: \xff\xfe\n\n"), "encoding"),
        (llm.saying(""), "empty"),
        (llm.sending(llm.event("이")), "cut"),
        (llm.saying("lorem ipsum\ndolor"), "unusable"),
    ],
)
def test_a_fault_of_the_endpoint_is_a_korean_sentence_on_the_page(
    behave: llm.Behaviour, code: Code, settings: Settings, store: Store
) -> None:
    with running(settings, store, behave) as console:
        html = console.ask()
    assert sentences.FAULTS[code] in html
    assert KEY not in html


def test_nobody_who_answers_or_answers_in_time_is_said_too(settings: Settings, store: Store) -> None:
    stop = threading.Event()

    def silent(handler: llm.Handler) -> None:
        handler.start()
        stop.wait(20)

    with running(settings, store, silent, timeout=1) as console:
        assert sentences.FAULTS["timeout"] in console.ask()
        stop.set()
    assert sentences.FAULTS["unreachable"] in console.ask()


def test_a_cut_answer_gives_its_whole_phrases_and_says_so(settings: Settings, store: Store) -> None:
    with running(settings, store, llm.sending(llm.event(f"- {KEPT}\n- 다음 주에"))) as console:
        html = console.ask()
        assert sentences.CUT in html
        assert console.shown() == [KEPT]


def test_a_job_shows_what_it_does_and_ends_at_once_where_somebody_says_so(settings: Settings, store: Store) -> None:
    stop = threading.Event()

    def behave(handler: llm.Handler) -> None:
        handler.start()
        handler.write(llm.event("가" * 50))
        stop.wait(30)

    with running(settings, store, behave) as console:
        console.me.send(PATH)
        part = ""
        for _ in range(200):
            part = console.me.page(f"{PATH}/job", HX_Request="true")
            if "50자" in part:
                break
            threading.Event().wait(0.05)
        assert "답을 받고 있어요(50자)" in part
        assert 'hx-trigger="every 700ms"' in part
        assert 'id="offers"' not in part
        assert console.me.send(f"{PATH}/cancel").status_code == 303
        assert sentences.FAULTS["cancelled"] in console.me.page(PATH)
        part = console.me.page(f"{PATH}/job", HX_Request="true")
        assert 'hx-swap-oob="true"' in part
        assert "every 700ms" not in part
        stop.set()


def test_the_endpoint_is_asked_for_few_services_at_a_time(
    settings: Settings, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "MOST_RUNNING", 1)
    stop = threading.Event()

    def late(handler: llm.Handler) -> None:
        stop.wait(30)
        saying(ANSWER)(handler)

    with running(settings, store, late) as console:
        console.me.send(PATH)
        assert console.me.send(PATH).status_code == 303  # the same job, shown
        busy = console.me.send("/suggest/104")
        assert busy.status_code == 409
        assert "끝난 뒤에" in busy.text
        stop.set()
        console.suggestions.wait(store.service(ID).key)
        assert len(console.server.requests) == 1


def test_who_may_only_read_sees_proposals_and_decides_nothing(
    console: Console, account: Callable[[str, str], str]
) -> None:
    console.ask()
    account("minji", "read")
    reader = Person(console.app)
    reader.log_in("minji")
    html = reader.page(PATH)
    assert KEPT in html
    assert "넣기</button>" not in html
    before = console.store.revision()
    for action in ("", "/accept", "/reject", "/cancel", "/check"):
        assert reader.send(f"{PATH}{action}", {"proposal": KEPT, "phrase": KEPT, "version": "1"}).status_code == 403
    assert console.store.revision() == before
    assert console.suggestions.waiting()


def test_services_with_few_phrases_come_first_and_the_form_and_menu_lead_there(console: Console) -> None:
    html = console.me.page("/suggest")
    assert 'href="/suggest">제안</a>' in html or 'href="/suggest" aria-current="page">제안</a>' in html
    counts = [int(count) for count in re.findall(r'<td class="number">(\d+)</td>', html)]
    assert counts == sorted(counts)
    assert PATH in console.me.page("/suggest?q=예약")
    assert f'href="{PATH}"' in console.me.page(f"/services/{ID}")
    console.ask()
    assert re.search(rf'href="{PATH}".*?\n.*?{len(ANSWER)}개', console.me.page("/suggest"))
