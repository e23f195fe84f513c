"""Files of what people chose: nothing that could point to a person gets through, and each mistake is named."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from malgil_core.catalog.errors import CatalogError
from malgil_core.suggest import chosen
from malgil_core.suggest.chosen import MAX_DIGITS, MIN_DAYS, MIN_PERSONS, Chosen, checked, parse

LINE: dict[str, Any] = {"text": "카드값 언제 나가", "id": 205, "chosen": 61, "persons": 38, "days": 12}


def refused(**changed: Any) -> str:
    """The sentence with which a line is refused."""
    with pytest.raises(ValueError, match=r"is|has|missing|field|object") as caught:
        checked({**LINE, **changed})
    return str(caught.value)


def test_a_text_that_too_few_people_typed_is_never_taken_to_be_suggested() -> None:
    assert MIN_PERSONS >= 30  # "a few dozen"
    assert checked({**LINE, "persons": MIN_PERSONS}).persons == MIN_PERSONS
    for persons in (MIN_PERSONS - 1, 1, 0, -1, True, 30.0, "38", None):
        sentence = refused(persons=persons)
        assert sentence.startswith(f"persons is {json.dumps(persons)}: it must be a whole number from {MIN_PERSONS} ")
        assert sentence.endswith("or the text could point to one of them")


def test_a_text_that_was_typed_on_too_few_days_is_never_taken_to_be_suggested() -> None:
    assert MIN_DAYS >= 7  # more than one evening of one group
    assert checked({**LINE, "days": MIN_DAYS}).days == MIN_DAYS
    assert refused(days=MIN_DAYS - 1).startswith(f"days is {MIN_DAYS - 1}: it must be a whole number from {MIN_DAYS} ")


@given(st.integers(-5, 60), st.integers(-5, 30), st.integers(-5, 2000))
def test_whatever_the_counts_say_no_line_below_the_bounds_passes(persons: int, days: int, count: int) -> None:
    line = {**LINE, "persons": persons, "days": days, "chosen": count}
    try:
        found = checked(line)
    except ValueError:
        return
    assert found.persons >= MIN_PERSONS
    assert found.days >= MIN_DAYS
    assert found.chosen >= max(found.persons, found.days)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("110-234-567890 보내기", "text has 12 digits: at most 4 are taken, since more may be someone's number"),
        ("０１０１２ 송금", "text has 5 digits"),
        ("kim@example.com", "text has an @"),
        ("kim＠example.com", "text has an @"),
        ("가" * 61, "text is 61 characters long: at most 60 are taken"),
        ("송금\u202e", 'text is "송금\u202e": it must be printable'),
        ("!?", 'text is "!?": it must have a letter or a digit'),
        ("", 'text is "": it must have a letter or a digit'),
        ("송금  내역", 'text is "송금  내역": it must be in NFC, with single spaces'),
        ("송금".encode().decode().replace("송", "\u1109\u1169\u11bc"), "it must be in NFC"),
        ("송\ud83d", "it must be a text"),
        (5, "text is 5: it must be a text"),
    ],
)
def test_numbers_addresses_and_what_nobody_could_type_are_refused_however_many_did(text: Any, sentence: str) -> None:
    assert sentence in refused(text=text)
    assert MAX_DIGITS < 5  # a card's last four digits are as many as a year has
    assert checked({**LINE, "text": "2024 연말정산"}).text == "2024 연말정산"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"id": -1}, "id is -1: it must be a whole number from 0 to 9007199254740991"),
        ({"id": 2**53}, "id is 9007199254740992: it must be"),
        ({"chosen": 37}, "chosen is 37: it must be at least persons and days, a choice of each"),
        ({"person": "ab"}, 'unknown field "person"; the fields are text, id, chosen, persons, days'),
    ],
)
def test_a_mistake_is_named_with_field_value_and_bound(change: dict[str, Any], sentence: str) -> None:
    assert refused(**change).startswith(sentence)


def test_a_missing_field_and_a_value_that_is_no_object_are_named() -> None:
    with pytest.raises(ValueError, match="days is missing"):
        checked({name: value for name, value in LINE.items() if name != "days"})
    with pytest.raises(ValueError, match="a suggestion is an object, not list"):
        checked([LINE])


def lines(*values: Any) -> bytes:
    return "".join(f"{json.dumps(value, ensure_ascii=False)}\n" for value in values).encode()


def test_what_is_written_is_read_again() -> None:
    found = [Chosen(**LINE), Chosen(**{**LINE, "id": 7})]
    assert parse(chosen.content(found), "x") == found
    assert parse(b"\xef\xbb\xbf" + lines(LINE) + b"\n  \n", "x") == found[:1]
    assert parse(b"", "x") == []


def test_all_mistakes_of_a_file_are_told_at_once_each_with_its_line() -> None:
    content = lines(LINE, {**LINE, "persons": 2}, LINE) + b"{\n\xff\n" + b"[" * 100_000
    with pytest.raises(CatalogError) as caught:
        parse(content, "some.jsonl")
    problems = sorted(caught.value.problems)
    assert problems[0].startswith("some.jsonl:2: persons is 2: ")
    assert problems[1] == 'some.jsonl:3: text "카드값 언제 나가" with id 205 stands in line 1 already'
    assert all(
        problem.startswith(f"some.jsonl:{at}: not JSON") for at, problem in zip((4, 5, 6), problems[2:], strict=True)
    )


def test_a_file_that_a_server_would_take_minutes_to_load_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chosen, "MAX_LINES", 2)
    values = [{**LINE, "id": id} for id in range(3)]
    assert len(parse(lines(*values[:2]), "x")) == 2
    with pytest.raises(CatalogError, match="there are 3 suggestions: at most 2 are taken"):
        parse(lines(*values), "x")
