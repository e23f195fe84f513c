"""`make export`, which every other target depends on: what it asks for, with `echo` in the place of Python."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from console.jobs import FILE
from export import ROOT

ENCODER = "-m export encoder --only-if missing"
PUBLISH = "-m export catalog publish catalogs/finance.jsonl --null-topics catalogs/null_topics.jsonl --offline"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with the Makefile, a set-up that is done, a catalog, null topics and no index."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    for name in ("catalogs/finance.jsonl", "catalogs/null_topics.jsonl", ".venv/ready"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def asked(checkout: Path, target: str = "export") -> list[str]:
    """What Python is called with."""
    command = ["make", "--silent", "--old-file=.venv/ready", target, "PYTHON=echo"]
    return subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=True).stdout.splitlines()


def test_what_an_older_version_made_is_looked_at_every_time(checkout: Path) -> None:
    assert asked(checkout) == [ENCODER, f"{PUBLISH} --only-if missing"]


@pytest.mark.parametrize("saved", ["finance.jsonl", "null_topics.jsonl"])
def test_a_catalog_saved_after_the_last_publish_is_published_and_an_older_one_is_not(
    checkout: Path, saved: str
) -> None:
    current = checkout / "index/CURRENT"
    current.parent.mkdir()
    current.touch()
    for file in (checkout / "catalogs").iterdir():
        os.utime(file, (1, 1))
    assert asked(checkout) == [ENCODER, f"{PUBLISH} --only-if missing"]
    os.utime(current, (2, 2))
    os.utime(checkout / "catalogs" / saved, (3, 3))
    assert asked(checkout) == [ENCODER, PUBLISH]
    (checkout / "index" / FILE).touch()  # a console has published: its store counts
    assert asked(checkout) == [ENCODER, f"{PUBLISH} --only-if missing"]


def test_the_console_starts_with_the_sample_and_the_null_topics_that_a_publish_adds(checkout: Path) -> None:
    assert asked(checkout, "console")[2:] == [
        "-m console import catalogs/finance.jsonl --only-if empty",
        "-m server.with_console --null-topics catalogs/null_topics.jsonl",
    ]
