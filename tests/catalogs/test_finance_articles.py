"""The help articles of the sample app and their labelled questions: valid, distinct, paraphrases without shared words.

Sentences are counted by their ends: a run of `.`, `?` or `!` before a space, a line's end or the text's end, and each
line that ends otherwise. The number in front of a step (`1. `) is no sentence.

That a paraphrase shares no content word with its article is checked by syllables, after stated lists of function words
and endings; `shared_words` says how, and what that does not see.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from datetime import date
from typing import Any

import pytest
from malgil_core.catalog.reading import read
from malgil_core.limits import MAX_TEXT_BYTES
from malgil_core.text.keystrokes import words
from malgil_core.text.validation import is_blank

from export import ROOT
from export.catalog.labelled import OUT_OF_SCOPE
from tests.catalogs.shared_words import shared

CATALOGS = ROOT / "catalogs"
FIELDS = ("id", "title", "body", "url", "category", "updated_at", "surfaces", "open", "service_ids", "phrases")


def rows(name: str) -> list[dict[str, Any]]:
    """The objects of a file of JSON Lines."""
    return [json.loads(line) for line in (CATALOGS / name).read_text(encoding="utf-8").splitlines()]


SERVICES = read(CATALOGS / "finance.jsonl")
ARTICLES = {article["id"]: article for article in rows("finance_articles.jsonl")}
QUERIES = rows("finance_article_queries.jsonl")
LABELLED = [query for query in QUERIES if query["id"] is not None]
PARAPHRASES = [query for query in LABELLED if query["kind"] == "paraphrase"]


def typed(text: str) -> str:
    """A text without case, spaces and signs."""
    return "".join(words(text))


def sentences(body: str) -> int:
    """How many sentences a body has, as this module's docstring counts them."""
    return len(re.findall(r"[.?!]+(?=\s|$)|[^.?!\s](?=\n|$)", re.sub(r"(?m)^\d+\. ", "", body)))


def repeated(texts: list[str]) -> list[str]:
    """Texts that are there more than once, but for case, spaces and signs."""
    return [text for text, times in Counter(map(typed, texts)).items() if times > 1]


def test_an_ingest_takes_every_article() -> None:
    for article in ARTICLES.values():
        assert tuple(article) == FIELDS
        for field in ("id", "title", "body", "url", "category", "updated_at"):
            assert isinstance(article[field], str)
            assert not is_blank(article[field])
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", article["id"])
        assert article["url"] == f"https://help.example.com/articles/{article['id']}"
        assert date.fromisoformat(article["updated_at"])
        assert isinstance(article["open"], bool)
        assert len(article["body"].encode()) <= MAX_TEXT_BYTES


def test_articles_are_many_in_groups_and_some_are_closed() -> None:
    assert len(ARTICLES) == len(rows("finance_articles.jsonl")) >= 160
    assert 10 <= len({article["category"] for article in ARTICLES.values()}) <= 15
    assert 3 <= sum(not article["open"] for article in ARTICLES.values()) <= 10


def test_an_article_leads_to_the_services_that_it_is_about() -> None:
    known = {service.service_id for service in SERVICES}
    surfaces = {surface for service in SERVICES for surface in service.surfaces}
    for article in ARTICLES.values():
        assert article["service_ids"]
        assert len(set(article["service_ids"])) == len(article["service_ids"])
        assert known.issuperset(article["service_ids"])
        assert article["surfaces"]
        assert surfaces.issuperset(article["surfaces"])


def test_bodies_are_of_three_to_twelve_sentences_and_a_tenth_are_long_enough_to_be_cut() -> None:
    counts = {name: sentences(article["body"]) for name, article in ARTICLES.items()}
    assert {name: count for name, count in counts.items() if not 3 <= count <= 12} == {}
    assert sum(count >= 10 for count in counts.values()) >= len(counts) / 10


@pytest.mark.parametrize(
    ("body", "count"),
    [
        ("하나입니다. 둘인가요? 셋!", 3),
        ("금리는 연 2.3%입니다.\n1. 엽니다.\n2. 누릅니다.", 3),
        ("끝에 점이 없는 줄\n둘째 줄입니다.", 2),
    ],
)
def test_sentences_are_counted_as_said(body: str, count: int) -> None:
    assert sentences(body) == count


def test_no_article_is_there_twice() -> None:
    assert repeated([article["title"] for article in ARTICLES.values()]) == []
    assert repeated([article["body"] for article in ARTICLES.values()]) == []


def test_every_article_has_phrases_of_its_own_and_none_is_a_labelled_question() -> None:
    assert min(len(article["phrases"]) for article in ARTICLES.values()) >= 6
    phrases = [phrase for article in ARTICLES.values() for phrase in article["phrases"]]
    assert repeated(phrases) == []
    assert {typed(phrase) for phrase in phrases}.isdisjoint(typed(query["query"]) for query in QUERIES)


def test_every_question_has_one_open_article_or_none() -> None:
    assert repeated([query["query"] for query in QUERIES]) == []
    for query in QUERIES:
        assert tuple(query) == ("query", "id", "kind")
        assert not is_blank(query["query"])
        if query["id"] is None:
            assert query["kind"] == OUT_OF_SCOPE
        else:
            assert query["kind"] in {"keywords", "question", "paraphrase"}
            assert ARTICLES[query["id"]]["open"]
            assert "SEARCH" in ARTICLES[query["id"]]["surfaces"]


def test_every_article_that_search_shows_is_asked_for() -> None:
    shown = {name for name, article in ARTICLES.items() if article["open"] and "SEARCH" in article["surfaces"]}
    assert shown == {query["id"] for query in PARAPHRASES}


def test_half_of_the_questions_are_paraphrases_and_some_have_no_answer() -> None:
    assert len(LABELLED) >= 240
    assert len(PARAPHRASES) >= max(120, len(LABELLED) / 2)
    assert len(QUERIES) - len(LABELLED) >= 30


def test_no_question_is_a_title() -> None:
    titles = {typed(article["title"]) for article in ARTICLES.values()}
    assert [query["query"] for query in QUERIES if typed(query["query"]) in titles] == []


def test_lexical_match_alone_finds_no_paraphrase() -> None:
    found = {
        query["query"]: common
        for query in PARAPHRASES
        if (common := shared(query["query"], "{title}\n{body}".format_map(ARTICLES[query["id"]])))
    }
    assert found == {}


@pytest.mark.parametrize(
    ("question", "common"),
    [
        ("계좌를 없애고 싶어요", ["계좌를"]),
        ("통장에서 보낸 돈", ["보낸", "돈"]),
        ("이자 얼마나 주나요", ["이자"]),
        ("집세가 알아서 빠지게", []),
        ("이건 어떻게 하나요", []),
    ],
)
def test_a_shared_word_is_seen_whatever_its_ending(question: str, common: list[str]) -> None:
    assert shared(question, "계좌는 이자를 줍니다. 돈이 어떻게 보내지나요?") == common


def test_questions_that_are_no_paraphrases_do_share_words() -> None:
    """The check above sees words where there are some."""
    others = [query for query in LABELLED if query["kind"] != "paraphrase"]
    seen = sum(bool(shared(query["query"], "{title}\n{body}".format_map(ARTICLES[query["id"]]))) for query in others)
    assert seen >= 0.95 * len(others)
