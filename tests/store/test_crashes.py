"""Several processes at once, and processes that are killed: nothing acknowledged is lost, nothing is half done."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from malgil_core.catalog.service import Service
from sqlalchemy.exc import DBAPIError

from export import ROOT
from store.errors import ConflictError, InvalidError, StoreError
from store.reading import Reader
from store.store import Store
from store.types import Stored
from tests.postgresql import Postgresql

ONE = Service(1, None, "transfer", "송금", "송금", True, ("이체",), "", (), None)
SAVE = """
import sys
from dataclasses import replace
from store.errors import ConflictError
from store.store import Store
url, by, count = sys.argv[1:]
with Store.open(url) as store:
    print("ready", flush=True)
    for number in range(int(count)):
        while True:
            entry = store.service(1)
            try:
                saved = store.save_service(replace(entry.value, memo=f"{by} {number}"), by=by, expected=entry.version)
            except ConflictError:
                continue
            break
        print(saved.version, flush=True)
"""
IMPORT = """
import json, sys
from store.store import Store
url, by, name = sys.argv[1:]
with Store.open(url) as store:
    services = "\\n".join(
        json.dumps({"id": id, "service_id": f"{by}{id}", "name": by, "path": "a", "open": True, "phrases": [f"{id}"]})
        for id in range(200)
    )
    for _ in range(3):
        store.replace(services.encode(), name, by=by)
"""


@contextmanager
def process(code: str, *words: str) -> Iterator[subprocess.Popen[str]]:
    """Another Python that runs code."""
    with subprocess.Popen([sys.executable, "-c", code, *words], cwd=ROOT, stdout=subprocess.PIPE, text=True) as started:
        try:
            yield started
        finally:
            started.kill()


def test_of_two_who_save_the_same_version_one_is_told_what_the_other_saved(database: str) -> None:
    with Store.open(database) as first, Store.open(database) as second:
        version = first.save_service(ONE, by="kim", expected=None).version

        def save(store: Store, by: str) -> Stored[Service] | ConflictError:
            try:
                return store.save_service(replace(store.service(1).value, memo=by), by=by, expected=version)
            except ConflictError as error:
                return error

        with ThreadPoolExecutor(2) as pool:
            results = list(pool.map(save, (first, second), ("kim", "lee")))
        (saved,) = (one for one in results if isinstance(one, Stored))
        (refused,) = (one for one in results if isinstance(one, ConflictError))
        assert refused.current == saved == first.service(1) == second.service(1)
        assert len(first.history()) == 2


def test_of_two_new_services_with_one_id_one_is_refused(database: str) -> None:
    with Store.open(database) as first, Store.open(database) as second:

        def create(store: Store) -> bool:
            try:
                store.save_service(ONE, by="kim", expected=None)
            except InvalidError:
                return False
            return True

        with ThreadPoolExecutor(2) as pool:
            assert sorted(pool.map(create, (first, second))) == [False, True]
        assert len(first.services()) == 1


def test_saves_of_two_processes_are_all_in_the_history_in_one_order(database: str) -> None:
    with Store.open(database) as store:
        store.save_service(ONE, by="kim", expected=None)
        with process(SAVE, database, "a", "25") as one, process(SAVE, database, "b", "25") as two:
            said = [started.communicate(timeout=100)[0].split()[1:] for started in (one, two)]
            assert (one.returncode, two.returncode) == (0, 0)
        assert sorted(int(version) for lines in said for version in lines) == list(range(2, 52))
        changes = store.history(limit=1000)
        assert [change.number for change in changes] == list(range(51, 0, -1))
        assert [change.version for change in changes] == list(range(51, 0, -1))
        assert all(newer.before == older.after for newer, older in pairwise(changes))
        assert sorted(change.at for change in changes) == [change.at for change in reversed(changes)]


def test_a_process_that_is_killed_while_it_saves_loses_nothing_that_it_was_told_is_saved(database: str) -> None:
    with Store.open(database) as store:
        store.save_service(ONE, by="kim", expected=None)
    acknowledged = 1
    for _ in range(3):
        with process(SAVE, database, "a", "100000") as started:
            assert started.stdout
            for line in started.stdout:
                if line != "ready\n":
                    acknowledged = int(line)
                    if acknowledged % 20 == 0:
                        break
            os.kill(started.pid, signal.SIGKILL)
            left = [line for line in started.stdout.read().split("\n")[:-1] if line]
            acknowledged = int(left[-1]) if left else acknowledged
        with Store.open(database) as store:
            entry, changes = store.service(1), store.history(limit=10_000)
            assert entry.version in (acknowledged, acknowledged + 1)  # the last one may not have been told any more
            assert [change.version for change in reversed(changes)] == list(range(1, entry.version + 1))
            assert changes[0].after is not None
            assert changes[0].after["memo"] == entry.value.memo
            acknowledged = entry.version


def test_two_imports_at_once_end_as_one_of_the_files(database: str) -> None:
    with process(IMPORT, database, "a", "a.jsonl") as one, process(IMPORT, database, "b", "b.jsonl") as two:
        assert (one.wait(100), two.wait(100)) == (0, 0)  # both have made the tables, too
    with Store.open(database) as store:
        assert len({entry.value.name[0] for entry in store.services()}) == 1
        assert len(store.services()) == 200
        numbers = [change.number for change in store.history(limit=100_000)]
        assert numbers == list(range(len(numbers), 0, -1))
        assert {change.name for change in store.history("catalog")} == {"a.jsonl", "b.jsonl"}


def test_the_history_refuses_to_be_changed_by_whoever_writes_to_the_database(database: str) -> None:
    statements = ["UPDATE history SET action = 'x'", "DELETE FROM history"]
    if database.startswith("sqlite"):
        statements.append("INSERT OR REPLACE INTO history SELECT * FROM history")
    else:
        statements.append("TRUNCATE history")
    with Store.open(database) as store:
        store.save_service(ONE, by="kim", expected=None)
        before = store.history()
        for statement in statements:
            with pytest.raises((DBAPIError, StoreError), match="the history only grows"):
                execute(store, statement)
        assert store.history() == before


def execute(store: Store, statement: str) -> None:
    with store._database.writing() as connection:
        connection.exec_driver_sql(statement)


def test_a_store_goes_on_after_its_server_was_restarted(postgresql: Postgresql) -> None:
    with Store.open(postgresql.new()) as store:
        made = store.save_service(ONE, by="kim", expected=None)
        postgresql.stop()
        with pytest.raises(StoreError) as caught:
            store.services()
        assert "\n" not in str(caught.value)
        postgresql.start()
        assert store.services() == [made]


def test_a_writer_that_waits_too_long_is_told_that_another_one_writes(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("store.database.WAIT_SECONDS", 1)
    with Store.open(database) as first, Store.open(database) as second, first._writing("kim"):
        with pytest.raises(StoreError, match="another process has been writing for 1 s") as caught:
            second.record("login", "account", "lee", by="lee")
        assert "\n" not in str(caught.value)
        assert second.history() == []  # reading goes on


def test_a_reader_needs_no_right_to_write_while_the_database_is_used_and_when_it_is_not(tmp_path: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("only root can become somebody else")
    folder = tmp_path / "data"
    url = f"sqlite:///{folder}/catalog.db"
    for above in tmp_path.parents[:-2]:  # pytest's folders are for one user
        above.chmod(0o755)
    tmp_path.chmod(0o755)
    with Store.open(url) as store:
        store.save_service(ONE, by="kim", expected=None)
        for file in folder.iterdir():
            file.chmod(0o644)
        folder.chmod(0o755)
        assert read_as_nobody(url) == "1"
    assert not (folder / "catalog.db-wal").exists()
    assert read_as_nobody(url) == "1"
    with Reader.open(url) as reader, Store.open(url) as store:
        store.save_service(replace(ONE, memo="a"), by="kim", expected=1)
        assert reader.services() == store.services()


def read_as_nobody(url: str) -> str:
    """The number of services that another user reads."""
    code = (  # modules are loaded before: another user may not read them
        "import os, sqlalchemy.dialects.sqlite\nfrom store import migrations\nfrom store.reading import Reader\n"
        "os.setgid(65534); os.setuid(65534)\n"
        f"with Reader.open({url!r}) as reader: print(len(reader.services()))"
    )
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True)  # fmt: skip
    return ended.stdout.strip()
