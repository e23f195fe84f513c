"""Phrases for services and null topics, proposed by what people chose and never chose."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from malgil_core.catalog.null_topic import NullTopic
from malgil_core.index.writer import Embed

from export.suggest.nearness import Nearness
from export.suggest.wording import Wording, fold
from feedback.catalog import Serving, vectors
from feedback.choices import Choice

_THERE = ("duplicate", "null_duplicate", "unprintable", "short", "long")  # verdicts that end a proposal


def lines(choices: Sequence[Choice], serving: Serving, embed: Embed, done: Callable[[], None]) -> list[dict[str, Any]]:
    """Proposals for the file that `python -m export suggest accept` takes, most people first within a service.

    A query that people choose one service for is proposed as a phrase of it; what the catalog has already is not.

    Args:
        choices: that count.
        embed: embeds phrases, those of the catalog too.
        done: called after each service.
    """
    by_service: dict[int, list[Choice]] = {}
    for one in choices:
        if one.id in serving.services:
            by_service.setdefault(one.id, []).append(one)
    made = []
    for id, found in sorted(by_service.items()):
        service = serving.services[id]
        wording = Wording.of(serving.catalog, service)
        texts = {serving.tokenization.restored(one.query).strip(): one for one in found}
        findings = {text: wording.finding(text) for text in texts}
        kept = [text for text, finding in findings.items() if finding is None or finding[0] not in _THERE]
        nearness = Nearness(serving.catalog, service, embed)
        for proposal in nearness.proposals(kept, [findings[text] for text in kept]):
            one = texts[proposal.text]
            counts = {"people": one.people, "share": round(one.share, 4)}
            made.append({"keep": False, "service_id": service.service_id, **proposal.as_dict(), **counts})
        done()
    return made


def null_topics(rows: Sequence[Mapping[str, Any]], serving: Serving, embed: Embed) -> list[NullTopic]:
    """Null topics of queries whose hits nobody chose.

    A query joins the null topic that is nearest to it where that is nearer than any service; else it is a topic of its
    own, of its name.

    Args:
        rows: of feedback.report, most people first.
        embed: embeds queries.
    """
    there = {fold(text) for service in serving.catalog.services for text in service.texts}
    there |= {fold(phrase) for topic in serving.catalog.null_topics for phrase in topic.phrases}
    queries: dict[str, str] = {}
    for row in rows:
        text = serving.tokenization.restored(row["query"]).strip()
        if fold(text) not in there:
            queries.setdefault(fold(text), text)
    made: dict[str, list[str]] = {}
    for text, vector in zip(queries.values(), vectors(embed, list(queries.values())), strict=True):
        topic = serving.best_topic(vector)
        name = topic[0] if topic and topic[1] >= serving.best_service(vector) else text
        made.setdefault(name, []).append(text)
    return [NullTopic(name, tuple(phrases)) for name, phrases in made.items()]
