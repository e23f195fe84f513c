"""Filters: what an app sends is checked before anything is asked by it."""

from __future__ import annotations

import json

import pytest
from malgil_core.documents.filters import ALL, MAX_FILTER_BYTES, Filter, date_number, parse_filter


def test_a_filter_says_what_is_found() -> None:
    text = '{"category": ["송금", "카드"], "surface": "HELP", "updated_from": "2025-01-02", "updated_to": "2025-12-31"}'
    assert parse_filter(text.encode()) == Filter(("송금", "카드"), "HELP", 20250102, 20251231)
    assert parse_filter('{"category": "송금"}') == Filter(("송금",))
    assert parse_filter(b" ") == parse_filter(b"{}") == parse_filter('{"surface": null}') == ALL


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[]", "must be an object"),
        ('{"categories": "x"}', "its fields are category"),
        ('{"category": 3}', "category is 3: it must be a text"),
        ('{"category": []}', "category has 0 values"),
        (json.dumps({"category": ["x"] * 17}), "category has 17 values"),
        ('{"surface": ["A"]}', "surface is"),
        ('{"surface": "' + "A" * 101 + '"}', "1 to 100 characters"),
        ('{"surface": "\\ud800"}', "surface is"),
        ('{"updated_from": "2025-13-01"}', "must be a date YYYY-MM-DD"),
        ('{"updated_from": "yesterday!"}', "must be a date YYYY-MM-DD"),
        ('{"updated_from": "2025-02-01", "updated_to": "2025-01-01"}', "must not be after updated_to"),
        ('{"category": "a", "category": "b"}', "stands there twice"),
        ("{", "not JSON"),
        ("[" * 2000, "documents_filter"),
        ("1" * 2000, "documents_filter"),
        ('{"category": "' + "x" * MAX_FILTER_BYTES + '"}', f"at most {MAX_FILTER_BYTES}"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_filter_ends_in_one_sentence_with_the_field(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence) as raised:
        parse_filter(text)
    assert str(raised.value).startswith("documents_filter")
    assert len(str(raised.value).splitlines()) == 1


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(ValueError, match="not UTF-8"):
        parse_filter(b"\xff{}")


def test_a_time_counts_by_its_day() -> None:
    assert date_number("2025-03-02T10:00:00+09:00") == date_number("2025-03-02") == 20250302
