"""Databases that cannot be used: one sentence each, without a password."""

from __future__ import annotations

import logging
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from export import ROOT
from store import migrations
from store.errors import StoreError
from store.reading import Reader
from store.store import Store
from tests.postgresql import ENCODED, PASSWORD, Postgresql


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("mysql://kim:hidden@host/name", "begins with mysql: it must be sqlite:///FILE or postgresql://"),
        ("hidden", "cannot be read: it must be"),
        ("postgresql://kim:hidden@host:port/name", "cannot be read: it must be"),
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("sqlite:///a.db?password=hidden", "names no file"),
        ("sqlite:////nowhere/at/all/a.db", "cannot be opened: No such file or directory"),
        ("postgresql://kim:hidden@127.0.0.1:1/name", "postgresql://kim:***@127.0.0.1:1/name cannot be used: "),
        ("postgresql://kim@127.0.0.1:1/name?password=hidden", "postgresql://kim@127.0.0.1:1/name cannot be used: "),
        ("postgresql://kim:hidden@no.such.host.invalid/name", "cannot be used: "),
    ],
)
def test_a_url_that_leads_nowhere_is_one_sentence_without_its_password(
    url: str, sentence: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG), pytest.raises(StoreError) as caught:
        Store.open(url)
    told = str(caught.value)
    assert sentence in told
    assert "\n" not in told
    assert "hidden" not in told + caplog.text


def test_a_wrong_password_or_database_of_a_server_is_one_sentence(
    postgresql: Postgresql, caplog: pytest.LogCaptureFixture
) -> None:
    right = postgresql.url("postgres")
    with caplog.at_level(logging.DEBUG):
        for url, sentence in [
            (right.replace(ENCODED, "wrong-one"), "password authentication failed"),
            (postgresql.url("absent"), 'database "absent" does not exist'),
        ]:
            with pytest.raises(StoreError, match=sentence) as caught:
                Store.open(url)
            assert "\n" not in str(caught.value)
            assert not {PASSWORD, ENCODED, "wrong-one"} & {*str(caught.value).split(), *caplog.text.split()}
            assert PASSWORD not in str(caught.value) + caplog.text
            assert "wrong-one" not in str(caught.value) + caplog.text


def test_a_server_without_its_driver_is_one_sentence(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['psycopg'] = None\n"
        "from store.errors import StoreError\nfrom store.store import Store\n"
        "try: Store.open('postgresql://kim:hidden@127.0.0.1:1/name')\n"
        "except StoreError as error: print(error)"
    )
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ended.stdout == (
        "postgresql://kim:***@127.0.0.1:1/name needs the package psycopg: `pip install 'psycopg[binary]'`\n"
    )


def test_a_file_that_is_no_database_is_one_sentence_and_stays_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "catalog.jsonl"
    file.write_text("{}\n" * 1000)
    for kind in (Store, Reader):
        with pytest.raises(StoreError, match="file is not a database"):
            kind.open(f"sqlite:///{file}")
    assert file.read_text() == "{}\n" * 1000


def test_a_store_of_a_newer_version_is_neither_read_nor_written(database: str) -> None:
    with Store.open(database) as store, store._database.writing() as connection:
        connection.exec_driver_sql(f"UPDATE {migrations.VERSION_TABLE} SET version_num = 'v9999'")
    for kind in (Store, Reader):
        with pytest.raises(
            StoreError, match=f"newer version of this project: its tables are v9999, and {migrations.HEAD}"
        ):
            kind.open(database)


def test_a_reader_makes_nothing(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no such file"):
        Reader.open(f"sqlite:///{tmp_path}/absent.db")
    assert list(tmp_path.iterdir()) == []
    sqlite3.connect(tmp_path / "empty.db").execute("CREATE TABLE a (b)").connection.close()
    with pytest.raises(StoreError, match="holds no catalog"):
        Reader.open(f"sqlite:///{tmp_path}/empty.db")
