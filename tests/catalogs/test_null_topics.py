"""The null topics, what a finance app does not do, take no query away from what the sample catalog does."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from malgil_core.catalog.reading import read
from malgil_core.limits import MAX_TEXT_BYTES
from malgil_core.text.keystrokes import words
from malgil_core.text.validation import is_blank

from export import ROOT

CATALOGS = ROOT / "catalogs"
TOPICS: list[dict[str, Any]] = [
    json.loads(line) for line in (CATALOGS / "null_topics.jsonl").read_text(encoding="utf-8").splitlines()
]
PHRASES = [phrase for topic in TOPICS for phrase in topic["phrases"]]


def typed(text: str) -> str:
    """A text without case, spaces and forms of Unicode; symbols alone stay as they are."""
    return "".join(words(text)) or text


def test_there_are_enough_topics_and_phrases_for_what_people_type_into_the_wrong_search_box() -> None:
    assert len(TOPICS) >= 80
    assert len(PHRASES) >= 1000


def test_every_line_is_a_name_and_phrases_that_can_be_embedded() -> None:
    for topic in TOPICS:
        assert topic.keys() == {"null", "name", "phrases"}
        assert topic["null"] is True
        for text in (topic["name"], *topic["phrases"]):
            assert not is_blank(text)
            assert len(text.encode()) <= MAX_TEXT_BYTES


def test_no_phrase_counts_twice() -> None:
    counts = Counter(map(typed, PHRASES))
    assert [text for text, times in counts.items() if times > 1] == []


def test_no_phrase_of_a_service_is_taken_for_something_the_app_does_not_do() -> None:
    services = {typed(text) for service in read(CATALOGS / "finance.jsonl") for text in service.texts}
    assert sorted(services & set(map(typed, PHRASES))) == []
