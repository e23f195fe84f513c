"""Problems between the lines of a catalog: ids and phrases that stand twice, unknown parents, cycles of parents."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from malgil_core.catalog.errors import shown
from malgil_core.catalog.null_topic import NullTopic
from malgil_core.catalog.service import Service

Numbered = tuple[int, Service]  # line number, service
NumberedTopic = tuple[int, NullTopic]
Problem = tuple[int, str]  # line number, sentence


def relations(services: Sequence[Numbered]) -> Iterator[Problem]:
    """The problems between services."""
    yield from _twice(services)
    parents: dict[int, int | None] = {}
    for _, service in services:
        parents.setdefault(service.id, service.parent_id)
    for number, service in services:
        if service.parent_id is not None and service.parent_id not in parents:
            yield number, f"parent_id {service.parent_id} is no service's id"
    yield from _cycles(services, parents)


def null_relations(topics: Sequence[NumberedTopic], services: Sequence[Numbered]) -> Iterator[Problem]:
    """The problems between null topics, and with services: a text cannot be both, and counts once."""
    of_services = {text: number for number, service in reversed(services) for text in service.texts}
    names: dict[str, int] = {}
    phrases: dict[str, int] = {}
    for number, topic in topics:
        if (earlier := names.setdefault(topic.name, number)) != number:
            yield number, f"name {shown(topic.name)} stands in line {earlier} already"
        for phrase in topic.phrases:
            if phrase in of_services:
                line = of_services[phrase]
                yield number, f"null phrase {shown(phrase)} is a name or phrase of the service in line {line}"
            if (earlier := phrases.setdefault(phrase, number)) != number:
                yield number, f"null phrase {shown(phrase)} stands in line {earlier} already"


def _twice(services: Sequence[Numbered]) -> Iterator[Problem]:
    lines: dict[tuple[str, int | str], int] = {}
    for number, service in services:
        for field, value in (("id", service.id), ("service_id", service.service_id)):
            earlier = lines.setdefault((field, value), number)
            if earlier != number:
                yield number, f"{field} {shown(value)} stands in line {earlier} already"


def _cycles(services: Sequence[Numbered], parents: dict[int, int | None]) -> Iterator[Problem]:
    rooted: set[int | None] = {None}  # ids whose parents were followed to an end, or whose cycle was named
    for number, service in services:
        way: dict[int, None] = {}  # in order
        at: int | None = service.id
        while at not in rooted and at in parents and at not in way:
            way[at] = None
            at = parents[at]
        if at in way:
            ids = list(way)
            cycle = " → ".join(map(str, [*ids[ids.index(at) :], at]))
            yield number, f"parent_id {service.parent_id} makes a cycle: {cycle}"
        rooted.update(way)
