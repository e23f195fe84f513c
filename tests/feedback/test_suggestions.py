"""`python -m feedback suggestions`: no count, trick or repetition brings a person's own words before others."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from malgil_core.suggest.chosen import MIN_DAYS, MIN_PERSONS, parse

from feedback import log as logs
from feedback.cli import main
from feedback.suggestions import Bounds, count

DAY_MS = 86_400_000
BOUNDS = Bounds()
FIRST = 20_400 * DAY_MS  # a day on which a period of 30 days begins: 680 × 30
Event = dict[str, Any]


def search(number: int, person: str | int, day: float, query: str | None, id: int | None = 100) -> list[Event]:
    """One session: a search, and the service that was chosen for it, if any."""
    at = FIRST + int(day * DAY_MS)
    who = person if isinstance(person, str) else f"{person:032x}"
    common = {"search_id": f"{number + 2**100:032x}", "generation": 1, "variant": "", "surface": "", "person": who}
    events: list[Event] = [
        {
            "type": "search",
            "at_ms": at,
            "k": 1,
            "count": 5,
            "refused_by": "",
            **common,
            **({"query": query} if query else {}),
        }
    ]
    if id is not None:
        events.append({"type": "chosen", "at_ms": at + 1000, "id": id, "rank": 1, "score": 0.9, "k": 1, **common})
    return events


def crowd(first: int, query: str, people: int, days: int, id: int = 100, start: float = 0.5) -> list[Event]:
    """So many people who choose a service for a query, each on one day, over so many days."""
    return [
        event
        for person in range(people)
        for event in search(first + person, first + person, start + person % days, query, id)
    ]


def regular(first: int, days: int = 29) -> list[Event]:
    """A person who searches on the first and the last of so many days: hashes do not rotate sooner."""
    return [*search(first, 777, 0.5, None, None), *search(first + 1, 777, days - 0.5, None, None)]


def written(folder: Path, events: Iterable[Event]) -> Path:
    """A folder with one sealed segment of these events."""
    from malgil_core.events.segment import write_sealed

    folder.mkdir(exist_ok=True)
    lines = [json.dumps(event, ensure_ascii=False).encode() for event in events]
    write_sealed(folder / "2026-11-29T13-05-00Z-host-1-00000001.jsonl.zst", lines)
    return folder


def counted(folder: Path, events: Iterable[Event], bounds: Bounds = BOUNDS) -> list[tuple[str, int, int, int, int]]:
    with logs.opened(written(folder, events), logs.Window(None, FIRST + 400 * DAY_MS)) as log:
        return [(one.text, one.id, one.chosen, one.persons, one.days) for one in count(log, bounds).found]


def test_what_enough_people_chose_on_enough_days_is_suggested_and_what_one_less_did_is_not(tmp_path: Path) -> None:
    events = [
        *regular(9000),
        *crowd(0, "카드값", MIN_PERSONS, MIN_DAYS, 205),
        *crowd(1000, "월세", MIN_PERSONS - 1, MIN_DAYS, 104),
        *crowd(2000, "전세", MIN_PERSONS, MIN_DAYS - 1, 105),
    ]
    assert counted(tmp_path / "events", events) == [("카드값", 205, MIN_PERSONS, MIN_PERSONS, MIN_DAYS)]


def test_one_person_never_counts_as_many_however_often_and_for_however_long_they_search(tmp_path: Path) -> None:
    daily = [event for day in range(29) for event in search(day, 1, day + 0.5, "엄마 생신 선물")]
    # A year of one person, with another hash in each period, and several of them in each.
    family = [
        event
        for day in range(390)
        for person in range(3)
        for event in search(1000 + 3 * day + person, 10_000 + 10 * (day // 30) + person, day + 0.5, "우리집 관리비")
    ]
    assert counted(tmp_path / "events", [*daily, *family]) == []


def test_people_of_two_periods_are_not_added_up(tmp_path: Path) -> None:
    half = MIN_PERSONS // 2
    events = [*regular(9000), *crowd(0, "카드값", half, 7, start=22.5), *crowd(500, "카드값", half, 7, start=30.5)]
    assert counted(tmp_path / "events", events) == []
    assert counted(tmp_path / "more", [*events, *crowd(700, "카드값", half, 7, start=30.5)])[0][3] == 2 * half


def test_choices_of_nobody_in_particular_count_for_nothing(tmp_path: Path) -> None:
    nameless = [event for number in range(200) for event in search(number, "", 0.5 + number % 20, "계좌 해지")]
    assert counted(tmp_path / "events", [*regular(9000), *nameless]) == []


def test_numbers_and_addresses_are_left_out_however_many_people_typed_them(tmp_path: Path) -> None:
    events = [*regular(9000), *crowd(0, "110-234-567890", 90, 20), *crowd(500, "1588 1234", 90, 20)]
    assert counted(tmp_path / "events", events) == []


def test_spelling_is_counted_together_and_most_chosen_comes_first(tmp_path: Path) -> None:
    events = [
        *regular(9000),
        *crowd(0, "IRP  계좌", 20, 10, 208),
        *crowd(100, "irp 계좌!", 20, 10, 208),
        *crowd(300, "카드값", 35, 10, 205),
        *crowd(400, "카드값", 31, 10, 206),
    ]
    assert [(text, id, persons) for text, id, _, persons, _ in counted(tmp_path / "events", events)] == [
        ("irp 계좌", 208, 40),
        ("카드값", 205, 35),
        ("카드값", 206, 31),
    ]


def test_searches_that_nothing_was_chosen_from_are_not_suggested(tmp_path: Path) -> None:
    asked = [
        event for person in range(90) for event in search(person, person, 0.5 + person % 20, "누가 나 좀 도와줘", None)
    ]
    assert counted(tmp_path / "events", [*regular(9000), *asked]) == []


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(
        st.tuples(st.integers(0, 60), st.integers(0, 89), st.sampled_from(("가", "나")), st.sampled_from((1, 2))),
        max_size=400,
    )
)
def test_whatever_people_do_what_is_kept_was_chosen_by_enough_of_them_in_one_period(
    tmp_path_factory: pytest.TempPathFactory, choices: list[tuple[int, int, str, int]]
) -> None:
    events = [*regular(90_000), *crowd(80_000, "가", 31, 8, 1)]
    for number, (person, day, query, id) in enumerate(choices):
        events += search(number, 100 * (day // 30) + person, day + 0.5, query, id)
    for text, id, _, persons, _ in counted(tmp_path_factory.mktemp("events") / "log", events):
        chose = {
            period: {(person, period) for person, day, query, other in choices
                     if (query, other, day // 30) == (text, id, period)}
            for period in range(3)
        }  # fmt: skip
        more = 31 if (text, id) == ("가", 1) else 0
        assert persons >= MIN_PERSONS
        assert max(len(chose[0]) + more, len(chose[1]), len(chose[2])) >= persons


def test_a_log_whose_hashes_rotate_sooner_than_was_said_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # One person whom the app hashes anew each day.
    events = [event for day in range(29) for event in search(day, 5000 + day, day + 0.5, "엄마 생신 선물")]
    events += [event for day in range(29) for event in search(500 + day, 6000 + day, day + 0.5, "엄마 생신 선물")]
    folder = written(tmp_path / "events", events)
    assert main(["suggestions", "--events", str(folder), "--out", str(tmp_path / "out.jsonl")]) == 1
    assert "may rotate sooner than in 30 days, and one person may count as many" in capsys.readouterr().err
    assert not (tmp_path / "out.jsonl").exists()


@pytest.mark.parametrize("options", [("--persons", "29"), ("--on-days", "6"), ("--persons", "0")])
def test_no_option_lowers_the_bounds(
    tmp_path: Path, options: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["suggestions", "--events", str(tmp_path), "--out", str(tmp_path / "out"), *options]) == 2
    assert "is not in the range" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"persons": 29}, "persons is 29: it must be at least 30, or a text could point to a person"),
        ({"days": 6}, "days is 6: it must be at least 7"),
        ({"rotation_days": 6}, "rotation_days is 6: it must be at least the 7 of days"),
    ],
)
def test_no_caller_lowers_the_bounds(arguments: dict[str, int], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        Bounds(**arguments)


def test_the_file_is_one_that_publishing_takes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    events = [
        *regular(9000),
        *crowd(0, "카드값", 40, 20, 205),
        *crowd(500, "월세", 3, 3),
        *crowd(600, "1588-1234", 60, 20),
    ]
    folder, out = written(tmp_path / "events", events), tmp_path / "suggestions.jsonl"
    assert main(["suggestions", "--events", str(folder), "--out", str(out)]) == 0
    assert capsys.readouterr().out == (
        f"{out}: 1 suggestions, each of at least 30 people on 7 days\n"
        "1 choices of fewer people or days are left out\n"
        "1 are left out because their text may hold someone's number or address\n"
    )
    (line,) = parse(out.read_bytes(), "out")
    assert (line.text, line.id, line.persons) == ("카드값", 205, 40)


def test_a_log_without_queries_says_which_option_keeps_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = written(tmp_path / "events", search(1, 1, 0.5, None))
    assert main(["suggestions", "--events", str(folder), "--out", str(tmp_path / "out")]) == 1
    assert "--log-queries" in capsys.readouterr().err
