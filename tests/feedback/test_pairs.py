"""Pairs, phrases and null topics out of a log, each read by what they are for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from malgil_core.catalog.reading import parse_lines, read_catalog

from export.__main__ import main as export
from export.catalog import labelled
from feedback.cli import main
from tests.conftest import CATALOG
from tests.feedback.logs import Log
from training.data.kinds import read_feedback

BY_ID = {service.id: service for service in read_catalog(CATALOG).services}
TRANSFER, LATER = 101, 104  # 계좌번호로 보내기, 자동이체 관리


@pytest.fixture
def where(repository: Path, index: Path, tmp_path: Path) -> list[str]:
    """Options of every command: the log, the index and the encoder."""
    words = ["--events", str(tmp_path / "events"), "--index", str(index), "--repository", str(repository)]
    return [*words, "--offline", "--people", "3"]


def choose(log: Log, query: str, id: int, hits: tuple[int, ...] = (), people: int = 3) -> None:
    for i in range(people):
        log.session(query, chosen=id, hits=hits or (id,), person=f"person {i}")


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_choice_becomes_a_pair_that_training_reads(
    where: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = Log()
    choose(log, "월세를 매달 알아서 나가게", LATER, (TRANSFER, LATER))
    choose(log, "엄마한테 용돈 부치기", TRANSFER)
    log.write(tmp_path / "events")
    out = tmp_path / "pairs.jsonl"
    assert main(["pairs", "--out", str(out), *where]) == 0
    printed = capsys.readouterr().out
    assert f"{out}: 2 pairs with 1 negatives" in printed
    assert "position bias: 0 hits" in printed
    found = {one["query"]: one for one in lines(out)}
    later = found["월세를 매달 알아서 나가게"]
    assert later["positive"] in BY_ID[LATER].texts
    assert len(later["negatives"]) == 1
    assert later["negatives"][0] in BY_ID[TRANSFER].texts
    assert found["엄마한테 용돈 부치기"]["negatives"] == []
    read = read_feedback(out)
    assert [(one.anchor, one.positive, list(one.negatives)) for one in read.pairs] == [
        (one["query"], one["positive"], one["negatives"]) for one in lines(out)
    ]


def test_the_positive_is_the_phrase_nearest_to_the_query(where: list[str], tmp_path: Path) -> None:
    wanted = BY_ID[TRANSFER].phrases[-1]
    log = Log()
    choose(log, f"{wanted} 좀", TRANSFER)
    log.write(tmp_path / "events")
    assert main(["pairs", "--out", str(tmp_path / "pairs.jsonl"), *where]) == 0
    assert [one["positive"] for one in lines(tmp_path / "pairs.jsonl")] == [wanted]


def test_what_teaches_nothing_makes_no_pair(
    where: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = Log()
    choose(log, "엄마한테 용돈 부ㅊ", TRANSFER)
    choose(log, BY_ID[TRANSFER].phrases[0], TRANSFER)
    choose(log, "없어진 서비스", 999_999)
    choose(log, "한두 사람이 찾은 말", TRANSFER, people=2)
    log.write(tmp_path / "events")
    assert main(["pairs", "--out", str(tmp_path / "pairs.jsonl"), *where]) == 0
    assert lines(tmp_path / "pairs.jsonl") == []
    printed = capsys.readouterr().out
    for sentence in (
        "1 of queries that are half typed",
        "1 of queries that are a phrase of the service already",
        "1 of services that are closed or gone",
        "queries left out: 1 that fewer than 3 people",
    ):
        assert sentence in printed


def test_a_query_typed_with_the_wrong_layout_is_learned_in_korean(where: list[str], tmp_path: Path) -> None:
    log = Log()
    choose(log, "ehs qhsorl", TRANSFER)  # 돈 보내기
    log.write(tmp_path / "events")
    assert main(["phrases", "--out", str(tmp_path / "phrases.jsonl"), *where]) == 0
    shown = [one["phrase"] for one in lines(tmp_path / "phrases.jsonl")]
    assert shown in ([], ["돈 보내기"])  # nothing, where the catalog has it already


def test_an_encoder_is_never_evaluated_on_what_it_was_trained_on(where: list[str], tmp_path: Path) -> None:
    log = Log()
    for i in range(40):
        choose(log, f"월세 자동으로 내기 {i}번", LATER)
    log.write(tmp_path / "events")
    out, held_out = tmp_path / "pairs.jsonl", tmp_path / "held_out.jsonl"
    assert main(["pairs", "--out", str(out), "--held-out", str(held_out), "--held-out-share", "0.3", *where]) == 0
    asked = labelled.read(held_out)
    trained = {one["query"] for one in lines(out)}
    assert len(asked) + len(trained) == 40
    assert 4 <= len(asked) <= 20
    assert not trained & {one.query for one in asked}
    assert all(one.held_out and one.id == LATER for one in asked)  # `training evaluate` reports on each


def test_phrases_are_accepted_one_by_one_into_a_catalog(where: list[str], tmp_path: Path) -> None:
    log = Log()
    choose(log, "월세를 매달 알아서 나가게", LATER)
    choose(log, BY_ID[TRANSFER].phrases[0], TRANSFER)
    log.write(tmp_path / "events")
    out = tmp_path / "phrases.jsonl"
    assert main(["phrases", "--out", str(out), *where]) == 0
    (one,) = lines(out)
    assert (one["service_id"], one["phrase"], one["people"], one["keep"]) == (
        BY_ID[LATER].service_id, "월세를 매달 알아서 나가게", 3, False,
    )  # fmt: skip
    assert one["own"]["name"] == BY_ID[LATER].name
    out.write_text(json.dumps({**one, "keep": True}, ensure_ascii=False) + "\n", encoding="utf-8")
    catalog = tmp_path / "catalog.jsonl"
    catalog.write_bytes(CATALOG.read_bytes())
    assert export(["suggest", "accept", str(catalog), str(out)]) == 0
    changed = {service.id: service for service in read_catalog(catalog).services}
    assert changed[LATER].phrases == (*BY_ID[LATER].phrases, "월세를 매달 알아서 나가게")


def test_phrases_that_a_person_works_on_are_not_written_over(
    where: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "phrases.jsonl").write_text("mine", encoding="utf-8")
    assert main(["phrases", "--out", str(tmp_path / "phrases.jsonl"), *where]) == 1
    assert "is there already" in capsys.readouterr().err
    assert (tmp_path / "phrases.jsonl").read_text(encoding="utf-8") == "mine"


def test_queries_whose_hits_nobody_chose_become_null_topics_that_a_publish_takes(
    where: list[str], tmp_path: Path
) -> None:
    log = Log()
    for i in range(4):
        log.session("로또 번호 추천", person=f"person {i}")
        log.session("내일 비 올까", person=f"person {i}")
        log.session("엄마한테 용돈 부치기", chosen=101 if i == 3 else None, person=f"person {i}")
        log.session(BY_ID[TRANSFER].name, person=f"person {i}")
    log.write(tmp_path / "events")
    out = tmp_path / "null.jsonl"
    assert main(["null-topics", "--out", str(out), *where]) == 0
    topics = [entry.as_dict() for _, entry in parse_lines(out.read_bytes(), str(out))]
    assert {phrase for topic in topics for phrase in topic["phrases"]} == {"로또 번호 추천", "내일 비 올까"}
    assert all(topic["null"] for topic in topics)
    assert export(["catalog", "check", str(CATALOG), "--null-topics", str(out)]) == 0


def test_without_queries_in_the_log_each_says_how_to_have_them(
    where: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = Log()
    log.session("", chosen=101)
    log.write(tmp_path / "events")
    for command in ("pairs", "phrases", "null-topics"):
        assert main([command, "--out", str(tmp_path / f"{command}.jsonl"), *where]) == 1
        assert "--log-queries" in capsys.readouterr().err
        assert not (tmp_path / f"{command}.jsonl").exists()
