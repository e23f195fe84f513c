"""The commands: start, accounts, import and export."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from console.cli import main
from export import ROOT
from tests.console.conftest import CATALOG, PASSWORD


@pytest.fixture
def database(tmp_path: Path) -> str:
    """The URL of a store that does not exist yet."""
    return f"sqlite:///{tmp_path}/console.db"


@pytest.fixture
def password(tmp_path: Path) -> Path:
    """A file with a password."""
    file = tmp_path / "password"
    file.write_text(PASSWORD + "\n", encoding="utf-8")
    return file


def run(*words: str | Path) -> int:
    return main([str(word) for word in words])


def test_a_catalog_goes_in_and_out_unchanged(database: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("import", CATALOG, "--database", database) == 0
    assert "150 added" in capsys.readouterr().out
    assert run("--database", database, "export", tmp_path / "out.jsonl") == 0
    assert (tmp_path / "out.jsonl").read_bytes() == CATALOG.read_bytes()


def test_a_file_with_a_mistake_changes_nothing_and_the_mistake_is_named(
    database: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("import", CATALOG, "--database", database)
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"id": 1}\n')
    assert run("import", bad, "--database", database) == 1
    assert "bad.jsonl:1: service_id is missing" in capsys.readouterr().err
    assert run("import", tmp_path / "none.jsonl", "--database", database) == 1
    run("--database", database, "export", tmp_path / "out.jsonl")
    assert (tmp_path / "out.jsonl").read_bytes() == CATALOG.read_bytes()


def test_a_catalog_that_people_have_edited_is_not_replaced_by_the_sample_when_the_console_starts_again(
    database: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    start = ("import", CATALOG, "--only-if", "empty", "--database", database)
    one = tmp_path / "one.jsonl"
    one.write_text(CATALOG.read_text(encoding="utf-8").splitlines()[0] + "\n", encoding="utf-8")
    assert run(*start) == 0
    assert run("import", one, "--database", database) == 0
    capsys.readouterr()
    assert run(*start) == 0
    assert "has a catalog already" in capsys.readouterr().out
    run("--database", database, "export", tmp_path / "out.jsonl")
    assert (tmp_path / "out.jsonl").read_bytes() == one.read_bytes()


def test_the_first_account_is_made_once_and_its_password_is_not_needed_afterwards(
    database: str, password: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = ("--database", database, "account", "add", "admin", "--role", "publish", "--only-if", "none")
    assert run(*first, "--password-file", password) == 0
    password.unlink()
    assert run(*first, "--password-file", password) == 0
    assert "there are accounts already" in capsys.readouterr().out
    assert run("--database", database, "account", "remove", "admin") == 0
    assert run(*first, "--password-file", password) == 1


def test_accounts_are_added_listed_changed_and_removed(
    database: str, password: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = ("--database", database, "account")
    assert run(*base, "add", "민지", "--role", "publish", "--password-file", password) == 0
    assert run(*base, "add", "proxied", "--no-password") == 0
    assert run(*base, "add", "민지", "--password-file", password) == 1
    assert "exists already" in capsys.readouterr().err
    assert run(*base, "role", "민지", "edit") == 0
    assert run(*base, "password", "민지", "--password-file", password) == 0
    assert run(*base, "password", "nobody", "--password-file", password) == 1
    capsys.readouterr()
    assert run(*base, "list") == 0
    out = capsys.readouterr().out
    assert [line.split("  ")[:2] for line in out.splitlines()] == [["proxied", "read"], ["민지", "edit"]]
    assert run(*base, "remove", "민지") == 0
    assert run(*base, "remove", "민지") == 1
    assert run(*base, "remove", "proxied") == 0
    assert "no account is left" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "text"), [("minji", "short"), ("minji", "가" * 2000), ("", PASSWORD), ("a\tb", PASSWORD), (" a", PASSWORD)]
)
def test_a_weak_password_or_a_name_that_cannot_be_seen_makes_no_account(
    name: str, text: str, database: str, password: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    password.write_text(text, encoding="utf-8")
    assert run("--database", database, "account", "add", name, "--password-file", password) == 1
    error = capsys.readouterr().err
    assert error.startswith(("password:", "name:"))
    assert PASSWORD not in error
    run("--database", database, "account", "list")
    assert "no accounts" in capsys.readouterr().err


def test_the_console_does_not_listen_for_others_before_it_can_ask_who_they_are(
    database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--database", database, "--listen", "0.0.0.0", "--port", "0") == 1
    assert "it has no accounts: add one" in capsys.readouterr().err
    assert run("--database", database, "--trusted-proxy", "proxy.example.com") == 1
    assert "not an address or network" in capsys.readouterr().err


@pytest.fixture
def served(database: str, tmp_path: Path) -> Iterator[str]:
    """The address of `python -m console`."""
    run("import", CATALOG, "--database", database)
    command = [
        sys.executable,
        "-m",
        "console",
        "--database",
        database,
        "--port",
        "0",
        "--index",
        str(tmp_path / "index"),
    ]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            line = process.stdout.readline()
            found = re.fullmatch(r"console: (http://127\.0\.0\.1:\d+)\n", line)
            if not found:
                process.kill()
                raise AssertionError(line + str(process.stderr and process.stderr.read()))
            yield found[1]
        finally:
            process.send_signal(signal.SIGTERM)
            out, err = process.communicate(timeout=20)
            assert (out, err) == ("", "")


def test_the_console_starts_with_one_command_and_prints_its_address(served: str, tmp_path: Path) -> None:
    with urllib.request.urlopen(served, timeout=10) as answer:
        html = answer.read().decode()
        assert answer.url == f"{served}/services"
        assert "server" not in {name.lower() for name in answer.headers}
    assert "150" in html
    assert (tmp_path / "console.secret").stat().st_mode & 0o077 == 0
    request = urllib.request.Request(served, headers={"Host": "evil.example"})
    with pytest.raises(urllib.error.HTTPError, match="400"):
        urllib.request.urlopen(request, timeout=10)
