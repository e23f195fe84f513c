"""Null topics from the command line: checked, published with their limits, listed, shown, compared, taken back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from malgil_core.index import reader

from export.__main__ import main
from export.catalog import embedding
from tests.index import CATALOG, ENCODER, NULL_TOPICS, embed


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A model repository whose encoder is never run."""
    (tmp_path / "model_repository/tokenizer/1").mkdir(parents=True)
    ENCODER.write(tmp_path / "model_repository/tokenizer/1/encoder.json")
    return tmp_path / "model_repository"


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    return write(tmp_path / "catalog.jsonl", CATALOG)


@pytest.fixture
def topics(tmp_path: Path) -> Path:
    return write(tmp_path / "topics.jsonl", NULL_TOPICS)


def write(file: Path, entries: Any) -> Path:
    lines = [json.dumps(one.as_dict(), ensure_ascii=False) + "\n" for one in entries]
    file.write_text("".join(lines), encoding="utf-8")
    return file


@pytest.fixture
def publish(repository: Path, catalog: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(embedding, "offline", lambda *_: embed)

    def run(*options: str) -> int:
        folders = ["--index", str(tmp_path / "index"), "--repository", str(repository)]
        return main(["catalog", "publish", str(catalog), "--offline", *folders, *options])

    return run


def null(index: Path, number: int) -> Any:
    return reader.read_manifest(reader.folder_of(index, number)).get("null")


def test_a_publish_takes_topics_from_both_files_and_says_what_its_limits_mean(
    publish: Any, catalog: Path, topics: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(catalog, [*CATALOG, NULL_TOPICS[0]])
    assert publish("--null-topics", str(topics)) == 0
    printed = capsys.readouterr().out
    assert "generation 1 serves: 3 open of 4 services, 11 phrases\n" in printed
    assert "2 null topics, 5 null phrases: an answer is empty where one of them scores more than 0." in printed
    assert "Of 9 phrases of services, each left out of the catalog and searched for, this leaves " in printed
    made = null(tmp_path / "index", 1)
    assert (made["topics"], made["phrases"], made["left_out"]) == (2, 5, 9)
    assert made["settings"] == {"loss": 0.03, "margin": None, "floor": None}
    assert made["lost"] <= 0.03


def test_margin_and_floor_can_be_given(publish: Any, topics: Path, tmp_path: Path) -> None:
    assert publish("--null-topics", str(topics), "--null-margin", "0.04", "--null-floor", "-1") == 0
    made = null(tmp_path / "index", 1)
    assert (made["margin"], made["floor"]) == (0.04, None)
    assert publish("--null-topics", str(topics), "--null-loss", "1") == 0
    assert null(tmp_path / "index", 2)["margin"] < 0.001
    assert publish("--null-topics", str(topics), "--null-loss", "2") == 2
    assert publish("--null-topics", str(topics), "--null-margin", "nan") == 2


def test_a_catalog_without_null_topics_is_published_as_before(publish: Any, tmp_path: Path) -> None:
    assert publish() == 0
    assert null(tmp_path / "index", 1) is None


def test_what_is_published_already_is_not_published_again_and_a_new_null_phrase_is(
    publish: Any, topics: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--null-topics", str(topics), "--only-if", "changed")
    assert publish(*options) == 0
    assert publish(*options) == 0
    assert "serves what was published already" in capsys.readouterr().out
    assert publish(*options, "--null-margin", "0.3") == 0
    assert "generation 1 has other limits of null phrases" in capsys.readouterr().out
    assert publish(*options) == 0  # a margin that was given stays
    assert reader.current(tmp_path / "index") == 2
    write(topics, NULL_TOPICS[:1])
    assert publish(*options, "--null-margin", "0.3") == 0
    assert "is not what generation 2 was made of" in capsys.readouterr().out
    assert null(tmp_path / "index", 3)["topics"] == 1


def test_list_show_diff_rollback_and_verify_tell_of_null_topics(
    publish: Any, repository: Path, topics: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    index = ["--index", str(tmp_path / "index")]
    assert publish("--null-topics", str(topics)) == publish() == 0
    capsys.readouterr()
    assert main(["catalog", "show", "1", *index]) == 0
    shown = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert shown[-2:] == [topic.as_dict() for topic in NULL_TOPICS]
    assert main(["catalog", "diff", "1", "2", *index]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "removed null topic 날씨",
        "removed null topic 인사",
        "0 services and 2 null topics differ between generations 1 and 2",
    ]
    assert main(["catalog", "rollback", *index, "--repository", str(repository)]) == 0
    assert null(tmp_path / "index", 3)["phrases"] == 5
    assert main(["catalog", "verify", *index]) == 0
    assert "3 (serves): sound" in capsys.readouterr().out
    assert main(["catalog", "list", *index]) == 0
    assert "null" in capsys.readouterr().out


def test_what_show_prints_can_be_published_again(publish: Any, catalog: Path, topics: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    assert publish("--null-topics", str(topics)) == 0
    capsys.readouterr()
    assert main(["catalog", "show", "--index", str(tmp_path / "index")]) == 0
    catalog.write_text(capsys.readouterr().out, encoding="utf-8")
    assert main(["catalog", "check", str(catalog)]) == 0
    assert "2 null topics, 5 null phrases" in capsys.readouterr().out
    assert publish() == 0
    first, second = (reader.load(reader.folder_of(tmp_path / "index", number)).null for number in (1, 2))
    assert first
    assert second
    np.testing.assert_array_equal(first.matrix, second.matrix)


def test_a_mistake_is_named_by_file_and_line_and_nothing_is_published(
    publish: Any, topics: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    topics.write_text('{"null": true, "name": "날씨", "phrase": ["비"]}\n', encoding="utf-8")
    catalog, further = str(tmp_path / "catalog.jsonl"), ("--null-topics", str(topics))
    for command in (lambda: publish(*further), lambda: main(["catalog", "check", catalog, *further])):
        assert command() == 1
        printed = capsys.readouterr().err
        assert f"{topics}:1: phrases is missing" in printed
        assert f"{topics}:1: unknown field 'phrase'; those of a null topic are null, name, phrases" in printed
    assert not (tmp_path / "index").exists()


def test_a_null_phrase_that_a_service_has_is_left_out_and_told(
    publish: Any, topics: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    topics.write_text('{"null": true, "name": "돈", "phrases": ["이체", "돈나무"]}\n', encoding="utf-8")
    assert publish("--null-topics", str(topics)) == 0
    assert f'{topics}:1: "이체" is left out: it is a phrase of service "송금"' in capsys.readouterr().out
    assert null(tmp_path / "index", 1)["phrases"] == 1


def test_a_publish_that_drops_the_null_topics_of_before_says_so(
    publish: Any, topics: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    note = "no null topics, though generation 1 has some: --null-topics FILE adds them"
    assert publish("--null-topics", str(topics)) == 0
    assert note not in capsys.readouterr().out
    assert publish() == 0
    assert note in capsys.readouterr().out
    assert publish() == 0
    assert "no null topics" not in capsys.readouterr().out
