"""The pages of search test, test sets, publish and search data, over a draft of the sample catalog."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import time
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from starlette.testclient import TestClient

from console.app import make_app
from console.draft import Draft
from console.publishing import Publishing
from console.settings import Settings
from export.catalog.access import Access
from server.launcher import Server
from store.store import Store
from tests.conftest import CATALOG, NULL_TOPICS
from tests.live import until


class Console:
    """A console over a store of its own, and a browser."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.store = Store.open(settings.database)
        self.store.replace(CATALOG.read_bytes(), "finance.jsonl", by="import")
        self.draft = Draft(
            self.store, settings.access.client, settings.index, settings.repository, settings.null_topics
        )
        self.draft.refresh()
        assert self.draft.state.problem is None
        self.publishing = Publishing(settings, self.store, self.draft)
        app = make_app(settings, self.store, "x" * 48, self.draft, self.publishing)
        self.http = TestClient(app, base_url="http://127.0.0.1:8010", client=("127.0.0.1", 40000))
        found = re.search(r'X-CSRF-Token": "([^"]+)"', unescape(self.http.get("/services").text))
        assert found
        self.token = found[1]

    def page(self, path: str, part: bool = False) -> str:
        """The text of a page, its markup left out."""
        response = self.http.get(path, headers={"HX-Request": "true"} if part else {})
        assert response.status_code == 200, response.text
        return text(response.text)

    def send(self, path: str, **fields: str) -> Any:
        return self.http.post(path, data={"csrf_token": self.token, **fields}, follow_redirects=False)

    def change(self, id: int, **fields: Any) -> None:
        stored = self.store.service(id)
        service = dataclasses.replace(stored.value, **fields)
        self.store.save_service(service, by="minji", expected=stored.version)
        self.draft.refresh()


def text(html: str) -> str:
    return unescape(re.sub(r"\s+", " ", re.sub("<[^>]+>", " ", html)))


@pytest.fixture(scope="module")
def made(server: Server, index: Path, repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    folder = tmp_path_factory.mktemp("console")
    shutil.copytree(index, folder / "index")
    console = Console(
        Settings(
            f"sqlite:///{folder}/console.db", folder / "index", repository, Access(server.grpc_url),
            folder / "secret", null_topics=(NULL_TOPICS,),
        )
    )  # fmt: skip
    yield console
    console.draft.stop()
    console.store.close()


@pytest.fixture
def console(made: Console) -> Iterator[Console]:
    """The console; what a test changes of services 101 and 102 is taken back."""
    before = {id: made.store.service(id).value for id in (101, 102)}
    yield made
    for id, service in before.items():
        stored = made.store.service(id)
        if stored.value != service:
            made.store.save_service(service, by="test", expected=stored.version)
    made.draft.refresh()


def search(query: str, **more: str) -> str:
    fields = {"form": "1", "null": "1", "q": query, **more}
    return "/search?" + "&".join(f"{name}={quote(value)}" for name, value in fields.items())


def test_both_answers_stand_side_by_side_with_their_scores(console: Console) -> None:
    shown = console.page(search("계좌이체"), part=True)
    assert "초안과 지금 검색이 같은 서비스를 같은 순서로 보여 줘요" in shown
    assert re.search(r"점수 0\.\d{4} · 뜻 0\.\d{4} · 글자 0\.\d{4} · 기준", shown) or "점수 1.0000" in shown
    assert "세대 1" in shown
    assert "그대로예요." in shown


def test_what_publishing_would_change_is_said_in_words(console: Console) -> None:
    console.change(101, phrases=(*console.store.service(101).value.phrases, "비둘기로 돈을 날려 보내기"))
    shown = console.page(search("비둘기로 돈을 날려 보내기"), part=True)
    assert "초안과 지금 검색이 달라요" in shown
    assert "올라가요" in shown or "새로 나와요" in shown
    console.change(101, open=False)
    shown = console.page(search("계좌이체"), part=True)
    assert "초안에서는 빠져요. 닫혀 있어요." in shown
    assert "점수는 되지만 보여 주지 않는 서비스" in shown


def test_the_draft_is_not_called_up_to_date_between_a_save_and_its_taking_up(console: Console) -> None:
    before = console.draft.state.revision
    all_in = "초안에는 저장한 내용이 모두 들어 있어요."
    assert all_in in console.page("/search/state", part=True)
    stored = console.store.service(101)
    saved = dataclasses.replace(stored.value, memo="막 저장한 메모")
    console.store.save_service(saved, by="minji", expected=stored.version)
    for page in ("/search", "/search/state", "/search/tests", "/publish"):
        assert all_in not in console.page(page)
        assert "초안에 바뀐 내용을 담고 있어요" in console.page(page)
    assert "HX-Trigger" not in console.http.get(f"/search/state?revision={before}").headers
    console.draft.refresh()
    assert all_in in console.page("/search")
    assert console.http.get(f"/search/state?revision={before}").headers["HX-Trigger"] == "draft-changed"
    now = console.draft.state.revision
    assert "HX-Trigger" not in console.http.get(f"/search/state?revision={now}").headers


def test_a_threshold_or_a_surface_that_cuts_a_service_is_named(console: Console) -> None:
    console.change(101, threshold=1.0)
    shown = console.page(search("은행과 계좌번호를 넣고 송금하기"), part=True)
    assert re.search(r"초안에서는 빠져요\. 점수 0\.\d{4}가 기준 1\.0000보다 낮아요", shown)
    shown = console.page(search("은행과 계좌번호를 넣고 송금하기", surface="RECO"), part=True)
    assert "이 노출 영역에 나오지 않아요" in shown


def test_the_null_phrase_that_emptied_an_answer_is_named(console: Console) -> None:
    shown = console.page(search("내일 비 와?"), part=True)
    assert shown.count("앱에 없는 것을 찾는다고 봐서 결과를 비웠어요. 주제 ‘날씨’의 문장 ‘내일 비 와?’(1.0000)") == 2
    assert "앱에 없는 것을 찾는다고 봐서" not in console.page("/search?form=1&q=" + quote("내일 비 와?"), part=True)


@pytest.mark.parametrize("query", ["<script>alert(1)</script>", "가" * 3000, "\u3164", "\"' onload="])
def test_a_hostile_query_is_shown_as_text_or_refused_in_a_sentence(console: Console, query: str) -> None:
    response = console.http.get(search(query))
    assert response.status_code == 200
    assert "<script>alert" not in response.text
    if len(query) > 100:
        assert "바이트까지 쓸 수 있어요" in response.text


def test_warnings_and_the_threshold_stand_in_the_form_of_a_service(console: Console) -> None:
    service = console.store.service(101).value
    answer = console.send("/services/101/warnings", name=service.name, phrases="통장으로 송금\n대환대출").text
    assert text(answer).strip().startswith("2번째 줄 다른 서비스에 같은 문장이 있어요: ‘대출 > 대출 갈아타기’")
    console.send("/search/tests", name="하나", example="1")
    assert "테스트 검색어" in console.page("/services/101/threshold?threshold=0.95")
    assert "없어요." in console.page("/services/101/threshold?threshold=-1")
    for typed in ("abc", "nan", "7", ""):
        assert console.page(f"/services/101/threshold?threshold={typed}").strip() == ""


def test_a_test_set_says_what_gets_better_and_what_gets_worse(console: Console) -> None:
    lines = [
        {"query": "비둘기로 돈을 날려 보내기", "id": 101, "kind": "new"},
        {"query": "전화번호만으로 송금하기", "id": 102},
        {"query": "내일 비 와?", "id": None},
    ]
    content = "\n".join(json.dumps(line, ensure_ascii=False) for line in lines)
    console.store.save_test_set("셋", content.encode(), by="minji")
    console.change(101, phrases=(*console.store.service(101).value.phrases, "비둘기로 돈을 날려 보내기"))
    console.change(102, open=False)
    path = console.send("/search/tests/run", name="셋").headers["location"]
    until(lambda: "every 700ms" not in console.http.get(path, headers={"HX-Request": "true"}).text)
    shown = console.page(path)
    assert "나빠지는 검색어 1개" in shown
    assert "나아지는 검색어 1개" in shown
    assert "100.0%" in shown
    assert shown.index("전화번호만으로 송금하기") < shown.index("나아지는 검색어")
    assert "나빠짐 1 · 나아짐 1" in console.page("/publish")
    assert "나아짐 1 · 나빠짐 1" in console.page("/search/tests")


def test_a_run_that_nobody_looks_at_ends(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("console.test_sets.LEFT_SECONDS", 0.0)
    console.send("/search/tests", name="예시", example="1")
    id = console.send("/search/tests/run", name="예시").headers["location"].rpartition("/")[2]
    runs = console.http.app.state.runs  # type: ignore[attr-defined]
    until(lambda: runs._runs[id].state == "cancelled")
    assert "끝까지 돌리지 않았어요" in console.page(f"/search/runs/{id}")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("틀린 줄", '{"query": "송금", "id": 100}\n{"query": 7}', "2번째 줄을 읽을 수 없어요"),
        ("빈 것", "\n\n", "검색어가 하나도 없어요"),
        ("", '{"query": "송금", "id": 100}', "세트의 이름을 적어 주세요"),
    ],
)
def test_a_test_set_with_a_mistake_is_not_saved(console: Console, name: str, content: str, said: str) -> None:
    response = console.send("/search/tests/set", name=name, content=content)
    assert response.status_code == 422
    assert said in response.text
    assert name not in [one.name for one in console.store.test_sets()]


def test_a_test_set_is_uploaded_edited_added_to_and_deleted(console: Console) -> None:
    file = ("mine.jsonl", '{"query": "송금", "id": 100}\n', "application/jsonl")
    answer = console.http.post(
        "/search/tests", data={"csrf_token": console.token}, files={"file": file}, follow_redirects=False
    )
    assert answer.status_code == 303
    console.send("/search/tests/add", query="<b>이체</b>", expected="101", set="mine")
    lines = console.store.test_set("mine").content.splitlines()
    assert [json.loads(line)["query"] for line in lines] == ["송금", "<b>이체</b>"]
    assert "&lt;b&gt;" in console.http.get("/search/tests/set?name=mine").text
    console.send("/search/tests/delete", name="mine")
    assert "mine" not in [one.name for one in console.store.test_sets()]
    assert console.http.get("/search/tests/set?name=mine").status_code == 404


def test_a_publish_shows_its_difference_its_progress_and_its_result(console: Console) -> None:
    console.change(101, phrases=(*console.store.service(101).value.phrases, "비둘기 편으로 송금"), threshold=0.5)
    shown = console.page("/publish")
    assert "바뀌는 것 1개" in shown
    assert "비둘기 편으로 송금" in shown
    assert "Threshold Override" in shown
    assert "살펴볼" in console.page("/publish/checks")
    assert console.send("/publish", note="비둘기").status_code == 303
    console.publishing.wait()
    shown = console.page("/publish")
    assert "게시했어요(세대 2)" in shown
    assert "바뀐 내용이 없어요" in shown
    assert "세대 1 마지막으로 게시한 세대(2)와 달라요" in console.page("/publish/servers")  # it has another index
    assert console.send("/publish/rollback", generation="1").status_code == 303
    console.publishing.wait()
    assert "세대 1의 내용으로 되돌렸어요" in console.page("/publish/job")
    assert console.send("/publish/rollback", generation="x").status_code == 400


def test_the_page_of_search_data_says_how_to_have_some(console: Console) -> None:
    assert "python -m server --events FOLDER --log-queries" in console.page("/data")


def test_without_a_draft_the_pages_say_so(console: Console) -> None:
    app = make_app(console.settings, console.store, "x" * 48)
    http = TestClient(app, base_url="http://127.0.0.1:8010", client=("127.0.0.1", 40000))
    assert "초안 검색이 없어요" in http.get(search("송금")).text
    assert http.get("/search/tests").status_code == 200
    assert http.get("/publish").status_code == 503


def test_a_search_is_answered_while_one_types(console: Console) -> None:
    seconds = []
    for length in range(1, 12):
        started = time.perf_counter()
        console.page(search("친구한테 돈 보내고 싶어"[:length]), part=True)
        seconds.append(time.perf_counter() - started)
    assert sorted(seconds)[5] < 1.0  # the benchmark has the figure
