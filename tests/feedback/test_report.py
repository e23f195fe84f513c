"""The report: figures that can be counted by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from feedback.cli import main
from feedback.log import DAY_MS, Window, opened
from feedback.report import Report, by_time, make, queries
from feedback.tables import MOST_CHOICES, MOST_REQUESTS, MOST_SESSIONS
from tests.feedback.logs import NOON_MS, Log

ALL = Window(None, NOON_MS + 30 * DAY_MS)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Seven searches of four people: four choices, one empty answer, one refusal, one that is left."""
    log = Log()
    log.session(["ㅅ", "송", "송금"], chosen=101, person="minji", surface="HOME")
    log.session("송금", chosen=103, person="junho", surface="HOME")
    log.session("송금", chosen=[101, 102], person="junho", surface="HOME")
    log.session("송금", person="sora")
    log.session("우주여행", hits=(), person="sora", at_ms=NOON_MS + DAY_MS)
    log.session("날씨", refused_by="null", person="sora", at_ms=NOON_MS + DAY_MS)
    log.session("환전", chosen=102, at_ms=NOON_MS + DAY_MS, variant="x:b", generation=2)
    log.write(tmp_path / "events")
    return tmp_path / "events"


def report(folder: Path, people: int = 1) -> Report:
    with opened(folder, ALL) as log:
        return make(log, "day", people, 10)


def test_shares_are_of_searches_not_of_keystrokes(folder: Path) -> None:
    total = report(folder).total
    assert (total["searches"], total["requests"], total["people"]) == (7, 9, 4)
    assert total["empty"] == pytest.approx(1 / 7)
    assert total["refused"] == pytest.approx(1 / 7)
    assert total["chosen"] == pytest.approx(4 / 7)
    assert total["chosen_first"] == pytest.approx(2 / 7)
    assert total["mrr"] == pytest.approx((1 + 1 / 3 + 1 + 1 / 2) / 7)
    assert total["keystrokes"] == pytest.approx((3 + 1 + 1 + 1) / 4)


def test_each_day_surface_variant_and_generation_has_its_own_figures(folder: Path) -> None:
    made = report(folder)
    assert [row["searches"] for row in made.by_time] == [4, 3]
    assert made.by_time[1]["at_ms"] - made.by_time[0]["at_ms"] == DAY_MS
    assert [(row["surface"], row["searches"], row["chosen"]) for row in made.by_surface] == [
        ("", 4, pytest.approx(1 / 4)),
        ("HOME", 3, pytest.approx(1)),
    ]
    assert [(row["variant"], row["searches"]) for row in made.by_variant] == [("", 6), ("x:b", 1)]
    assert [(row["generation"], row["searches"]) for row in made.by_generation] == [(1, 6), (2, 1)]
    with opened(folder, ALL) as log:
        weeks = by_time(log, "week")
    assert [row["searches"] for row in weeks] == [7]
    assert weeks[0]["at_ms"] == NOON_MS - 5 * DAY_MS - DAY_MS // 2  # Monday


def test_click_through_by_rank_counts_only_answers_that_were_looked_at(folder: Path) -> None:
    ranks = {row["rank"]: (row["shown"], row["chosen"]) for row in report(folder).ranks}
    assert ranks == {1: (5, 2), 2: (5, 2), 3: (5, 1), 4: (5, 0)}  # two of the seven answers had no hits


def test_queries_are_listed_by_what_came_of_them(folder: Path) -> None:
    found = report(folder).queries
    assert found is not None
    first = found["asked"][0]
    assert (first["query"], first["people"], first["chosen"]) == ("송금", 3, 2)
    assert [row["query"] for row in found["empty"]] == ["우주여행"]
    assert [row["query"] for row in found["refused"]] == ["날씨"]
    assert found["unchosen"] == []  # two others chose something for what sora left
    assert [row["first_id"] for row in found["asked"] if row["query"] == "송금"] == [101]


def test_a_query_that_few_people_typed_is_shown_to_nobody(tmp_path: Path) -> None:
    log = Log()
    for person in ("a", "b", "c"):
        log.session("흔한 말", person=person)
    for _ in range(9):
        log.session("드문 말", person="d")  # one person, however often
    log.write(tmp_path)
    with opened(tmp_path, ALL) as found:
        assert [row["query"] for row in queries(found, "asked", 3, 10)] == ["흔한 말"]
        assert [row["query"] for row in queries(found, "unchosen", 3, 10)] == ["흔한 말"]
        assert len(queries(found, "asked", 1, 10)) == 2


def test_what_no_person_does_is_left_out(tmp_path: Path) -> None:
    log = Log()
    log.session("송금", chosen=101, person="minji")
    for _ in range(MOST_SESSIONS + 1):
        log.session("봇", person="bot")
    log.session(["글"] * (MOST_REQUESTS + 1), person="holds a key down")
    log.session("모두", chosen=range(MOST_CHOICES + 1), hits=range(20), person="opens everything")
    log.write(tmp_path)
    made = report(tmp_path)
    assert made.total["searches"] == 1
    assert made.automatic == MOST_SESSIONS + 3


def test_without_queries_the_report_has_figures_and_says_why_no_queries(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = Log()
    log.session("", chosen=102)
    log.write(tmp_path)
    assert main(["report", "--events", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "chosen 100.0%" in printed
    assert "--log-queries" in printed


def test_the_command_writes_json_and_draws(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--json", str(tmp_path / "report.json"), "--plots", str(tmp_path / "plots"), "--people", "1"]
    assert main(["report", "--events", str(folder), "--by", "week", *words]) == 0
    printed = capsys.readouterr().out
    assert "7 searches with 9 requests of 4 people" in printed
    assert "우주여행" in printed
    value = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert value["total"]["searches"] == 7
    for name in ("time.png", "ranks.png"):
        assert (tmp_path / "plots" / name).read_bytes().startswith(b"\x89PNG")


def test_a_folder_that_is_not_there_is_told_in_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "--events", str(tmp_path / "nowhere")]) == 1
    assert "is not there" in capsys.readouterr().err
