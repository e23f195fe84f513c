"""`catalog publish --suggestions`: what is checked before it serves, what is kept, and how to be rid of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from malgil_core.index import reader
from malgil_core.index.reader import folder_of, load_texts
from malgil_core.index.writer import publish

from export.__main__ import main
from export.catalog import embedding
from tests.index import CATALOG, ENCODER, embed

LINE: dict[str, Any] = {"text": "용돈 부치기", "id": 7, "chosen": 50, "persons": 30, "days": 7}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A model repository that the publishes in question never embed with."""
    (tmp_path / "model_repository/tokenizer/1").mkdir(parents=True)
    ENCODER.write(tmp_path / "model_repository/tokenizer/1/encoder.json")
    return tmp_path / "model_repository"


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Generation 1, without suggestions."""
    monkeypatch.setattr(embedding, "offline", lambda *_: embed)
    publish(CATALOG, tmp_path / "index", ENCODER, embed)
    return tmp_path / "index"


def write(file: Path, *lines: Any) -> Path:
    file.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
    return file


def run(index: Path, repository: Path, *options: str) -> int:
    catalog = write(index.parent / "catalog.jsonl", *(one.as_dict() for one in CATALOG))
    folders = ["--index", str(index), "--repository", str(repository)]
    return main(["catalog", "publish", str(catalog), "--offline", *folders, *options])


def served(index: Path) -> Any:
    """What people chose, of the generation that serves."""
    number = reader.current(index)
    assert number
    return load_texts(folder_of(index, number)).chosen


def test_what_people_chose_is_published_kept_by_later_publishes_and_left_out_on_request(
    index: Path, repository: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(tmp_path / "suggestions.jsonl", LINE)
    assert run(index, repository, "--suggestions", str(file)) == 0
    assert "\n1 suggestions of what people chose\n" in capsys.readouterr().out
    assert served(index) == [LINE]
    assert run(index, repository) == 0
    told = "1 suggestions of what people chose, as in generation 2: --no-suggestions leaves them out"
    assert told in capsys.readouterr().out
    assert served(index) == [LINE]
    assert run(index, repository, "--no-suggestions") == 0
    assert "people chose" not in capsys.readouterr().out
    assert served(index) == ()


def test_a_file_with_a_text_that_may_point_to_a_person_is_refused_and_nothing_is_published(
    index: Path, repository: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(tmp_path / "suggestions.jsonl", LINE, {**LINE, "text": "김말길 송금", "persons": 1})
    assert run(index, repository, "--suggestions", str(file)) == 1
    assert capsys.readouterr().err == (
        f"{file}:2: persons is 1: it must be a whole number from 30 to 1073741824, "
        "or the text could point to one of them\n"
    )
    assert reader.current(index) == 1


def test_a_missing_file_and_contradicting_options_are_refused(index: Path, repository: Path, tmp_path: Path) -> None:
    assert run(index, repository, "--suggestions", str(tmp_path / "none.jsonl")) == 1
    assert run(index, repository, "--suggestions", str(tmp_path), "--no-suggestions") == 2
    assert reader.current(index) == 1


def test_a_job_publishes_again_when_what_people_chose_has_changed(
    index: Path, repository: Path, tmp_path: Path
) -> None:
    file = write(tmp_path / "suggestions.jsonl", LINE)
    changed = ["--suggestions", str(file), "--only-if", "changed"]
    assert run(index, repository, *changed) == 0
    assert reader.current(index) == 2
    assert run(index, repository, *changed) == 0
    assert run(index, repository, "--only-if", "changed") == 0
    assert reader.current(index) == 2
    write(file, {**LINE, "chosen": 51})
    assert run(index, repository, *changed) == 0
    assert reader.current(index) == 3
    assert run(index, repository, "--no-suggestions", "--only-if", "changed") == 0
    assert served(index) == ()
