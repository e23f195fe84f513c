"""Publishing from the console: what was tested serves, one job at a time, and a killed console leaves nothing half."""

from __future__ import annotations

import dataclasses
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import malgil
import pytest
from malgil_core.index import history, reader

from console.draft import Draft
from console.jobs import BusyError
from console.publishing import Publishing
from console.settings import Settings
from console.view import Views
from export import ROOT
from export.__main__ import main
from export.catalog.access import Access
from server.launcher import Server
from server.ports import free_ports
from store.store import Store
from tests.conftest import CATALOG, NULL_TOPICS
from tests.live import until


@pytest.fixture
def settings(server: Server, index: Path, repository: Path, tmp_path: Path) -> Settings:
    """Of a console on a copy of the index; the shared server embeds."""
    shutil.copytree(index, tmp_path / "index")
    return Settings(
        f"sqlite:///{tmp_path}/console.db",
        tmp_path / "index",
        repository,
        Access(server.grpc_url),
        tmp_path / "secret",
        null_topics=(NULL_TOPICS,),
    )


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    opened = Store.open(settings.database)
    opened.replace(CATALOG.read_bytes(), "finance.jsonl", by="import")
    yield opened
    opened.close()


def save(store: Store, id: int, phrase: str) -> int:
    """Add a phrase; the store's revision."""
    stored = store.service(id)
    service = dataclasses.replace(stored.value, phrases=(*stored.value.phrases, phrase))
    store.save_service(service, by="minji", expected=stored.version)
    return store.revision()


def test_a_publish_serves_is_recorded_and_can_be_taken_back(settings: Settings, store: Store) -> None:
    publishing = Publishing(settings, store)
    assert publishing.job is None
    revision = save(store, 101, "비둘기로 돈을 날려 보내기")
    publishing.publish("minji", "비둘기")
    publishing.wait()
    job = publishing.job
    assert job
    assert (job.state, job.generation, job.revision, job.total) == ("done", 2, revision, 1), job
    assert reader.current(settings.index) == 2
    record = store.history(kind="catalog", limit=1)[0]
    assert (record.action, record.by, record.note) == ("publish", "minji", f"비둘기 · revision {revision}")
    publishing.roll_back(1, "jun")
    publishing.wait()
    assert reader.current(settings.index) == 3
    assert history.manifest(settings.index, 3)["rolled_back_to"] == 1
    publishing.roll_back(2, "jun")
    publishing.wait()
    record = store.history(kind="catalog", limit=1)[0]
    assert (record.action, record.by, record.note) == ("rollback", "jun", f"revision {revision}")
    publishing.roll_back(77, "jun")
    publishing.wait()
    assert publishing.job
    assert publishing.job.state == "failed"
    assert "되돌릴 수 없어요" in publishing.job.sentence


def test_what_has_changed_since_the_publish_is_known_whatever_its_author_wrote(
    settings: Settings, store: Store
) -> None:
    publishing, views = Publishing(settings, store), Views(store)
    save(store, 101, "비둘기로 돈을 날려 보내기")
    assert len(views.current().changed) == 150  # nothing was published from here yet
    publishing.publish("minji", "revision 1 · revision 2")
    publishing.wait()
    assert views.current().changed == set()
    save(store, 102, "부엉이로 돈을 날려 보내기")
    assert views.current().changed == {store.service(102).key}
    publishing.publish("minji", "")
    publishing.wait()
    assert views.current().changed == set()
    publishing.roll_back(2, "jun")
    publishing.wait()
    assert views.current().changed == {store.service(102).key}
    publishing.roll_back(1, "jun")  # which the console has not published
    publishing.wait()
    assert len(views.current().changed) == 150


def test_a_second_job_is_refused_by_name_whichever_console_starts_it(settings: Settings, store: Store) -> None:
    first, second = Publishing(settings, store), Publishing(settings, store)
    first.publish("minji", "")
    with pytest.raises(BusyError, match="minji"):
        second.publish("jun", "")
    assert second.job
    assert second.job.state == "running"
    first.wait()
    assert second.job.state == "done"
    second.publish("jun", "")
    second.wait()
    assert first.job
    assert first.job.by == "jun"


def test_without_a_server_nothing_is_published_and_the_job_says_why(settings: Settings, store: Store) -> None:
    gone = dataclasses.replace(settings, access=Access("127.0.0.1:9"), servers=(settings.access.url,))
    save(store, 101, "비둘기로 돈을 날려 보내기")
    publishing = Publishing(gone, store)
    publishing.publish("minji", "")
    publishing.wait()
    assert publishing.job
    assert (publishing.job.state, publishing.job.sentence[:20]) == ("failed", "검색 서버에 연결할 수 없어요. 다시"[:20])
    assert reader.current(settings.index) == 1
    away, here = publishing.servers()
    assert (away.generation, away.problem) == (None, "검색 서버에 연결할 수 없어요.")
    assert (here.generation, here.problem) == (1, None)


KILLED = """
import sys
from pathlib import Path
from console.publishing import Publishing
from console.settings import Settings
from export.catalog.access import Access
from store.store import Store
database, index, repository, url, null = sys.argv[1:]
settings = Settings(database, Path(index), Path(repository), Access(url), Path("secret"), null_topics=(Path(null),))
publishing = Publishing(settings, Store.open(database))
publishing.publish("minji", "한밤의 게시")
while publishing.job.done < 256:
    pass
print("half", flush=True)
publishing.wait()
"""


def test_a_console_killed_while_it_publishes_leaves_nothing_half_published(settings: Settings, store: Store) -> None:
    shutil.rmtree(settings.index)
    arguments = [
        settings.database,
        str(settings.index),
        str(settings.repository),
        settings.access.url,
        str(NULL_TOPICS),
    ]
    command = [sys.executable, "-c", KILLED, *arguments]
    child = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
    assert child.stdout
    assert child.stdout.readline() == b"half\n"
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    child.stdout.close()
    publishing = Publishing(settings, store)
    assert publishing.job
    assert (publishing.job.state, publishing.job.by, publishing.job.note) == ("interrupted", "minji", "한밤의 게시")
    assert "아직 아무것도 게시되지 않았어요" in publishing.job.sentence
    assert reader.current(settings.index) is None
    assert history.numbers(settings.index) == []


def test_what_was_tested_is_what_the_server_answers_after_the_publish(
    settings: Settings, store: Store, tmp_path: Path
) -> None:
    shutil.copytree(settings.repository, tmp_path / "model_repository")
    with (
        (tmp_path / "triton.log").open("wb") as log,
        Server(tmp_path / "model_repository", free_ports(), log=log) as own,
    ):
        own.wait_ready()
        given = dataclasses.replace(settings, repository=tmp_path / "model_repository", access=Access(own.grpc_url))
        draft = Draft(store, given.access.client, given.index, given.repository, given.null_topics)
        save(store, 101, "pigeon 편으로 돈 보내기")
        closed = store.service(102)
        shut = dataclasses.replace(closed.value, open=False)
        store.save_service(shut, by="minji", expected=closed.version)
        strict = store.service(103)
        store.save_service(dataclasses.replace(strict.value, threshold=0.93), by="minji", expected=strict.version)
        draft.refresh()
        assert draft.state.problem is None
        queries = [
            "pigeon",
            "PIGEON 송금",
            "피존",
            "pige",
            "연락처로 보내기",
            "송금",
            "이체",
            "오늘 날씨",
            "ㅅㄱ",
            "돈 보내 줘",
        ]
        tested = {query: draft.search(query) for query in queries}
        publishing = Publishing(given, store, draft)
        publishing.publish("minji", "")
        publishing.wait()
        assert publishing.job
        assert publishing.job.state == "done", publishing.job
        with malgil.SearchClient(own.grpc_url, timeout=30) as client:
            started = time.monotonic()
            until(lambda: client.generation() == publishing.job.generation)  # type: ignore[union-attr]
            assert time.monotonic() - started < 5
            # The tokenizer, which reads the catalog's Latin words, looks every second too.
            until(lambda: [hit.id for hit in client.search("pigeon")] == [hit.id for hit in tested["pigeon"].hits])
            for query, answer in tested.items():
                live = client.search(query, explain=True)
                assert [(hit.id, hit.score, hit.dense, hit.lexical, hit.phrase) for hit in answer.hits] == [
                    (hit.id, hit.score, hit.dense, hit.lexical, hit.phrase) for hit in live
                ], query
                assert answer.refused_by == live.refused_by
        draft.stop()


def test_a_publish_from_the_command_line_at_the_same_time_is_safe(settings: Settings, store: Store) -> None:
    save(store, 101, "비둘기로 돈을 날려 보내기")
    publishing = Publishing(settings, store)
    folders = ["--index", str(settings.index), "--repository", str(settings.repository)]
    publishing.publish("minji", "")
    assert main(["catalog", "publish", str(CATALOG), "--url", settings.access.url, *folders]) == 0
    publishing.wait()
    assert publishing.job
    assert publishing.job.state == "done"
    found = history.entries(settings.index, thorough=True)
    assert [(entry.number, entry.problem) for entry in found] == [(1, None), (2, None), (3, None)]
    lines = {entry.number: history.catalog(settings.index, entry.number) for entry in found}
    mine = publishing.job.generation
    assert mine in (2, 3)
    assert len(lines[mine]) == 150 + 241
    assert len(lines[5 - mine]) == 150
