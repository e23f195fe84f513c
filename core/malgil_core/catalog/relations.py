"""Problems between the lines of a catalog: ids and phrases that stand twice, unknown parents, cycles of parents.

Codes: taken, null_taken, name_taken, null_is_service, with `other`, the number of the other line; unknown_parent; and
cycle, with `ids`. A store has keys in place of line numbers, and says otherwise what an entry is called.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from malgil_core.catalog.null_topic import NullTopic
from malgil_core.catalog.problems import Problem
from malgil_core.catalog.service import Service
from malgil_core.text.validation import shown

Numbered = tuple[int, Service]  # line number, service
NumberedTopic = tuple[int, NullTopic]
Found = tuple[int, Problem]  # line number, problem
Place = Callable[[int], str]  # what a line is called, by its number


def _line(number: int) -> str:
    return f"line {number}"


def relations(services: Sequence[Numbered], place: Place = _line) -> Iterator[Found]:
    """The problems between services."""
    yield from _twice(services, place)
    parents: dict[int, int | None] = {}
    for _, service in services:
        parents.setdefault(service.id, service.parent_id)
    for number, service in services:
        if service.parent_id is not None and service.parent_id not in parents:
            sentence = f"parent_id {service.parent_id} is no service's id"
            yield number, Problem("parent_id", "unknown_parent", service.parent_id, sentence)
    yield from _cycles(services, parents)


def null_relations(
    topics: Sequence[NumberedTopic], services: Sequence[Numbered], place: Place = _line
) -> Iterator[Found]:
    """The problems between null topics, and with services: a text cannot be both, and counts once."""
    of_services = {text: number for number, service in reversed(services) for text in service.texts}
    names: dict[str, int] = {}
    phrases: dict[str, int] = {}
    for number, topic in topics:
        if (earlier := names.setdefault(topic.name, number)) != number:
            sentence = f"name {shown(topic.name)} stands in {place(earlier)} already"
            yield number, Problem("name", "name_taken", topic.name, sentence, {"other": earlier})
        for phrase in topic.phrases:
            if phrase in of_services:
                other = of_services[phrase]
                sentence = f"null phrase {shown(phrase)} is a name or phrase of the service in {place(other)}"
                yield number, Problem("phrases", "null_is_service", phrase, sentence, {"other": other})
            if (earlier := phrases.setdefault(phrase, number)) != number:
                sentence = f"null phrase {shown(phrase)} stands in {place(earlier)} already"
                yield number, Problem("phrases", "null_taken", phrase, sentence, {"other": earlier})


def _twice(services: Sequence[Numbered], place: Place) -> Iterator[Found]:
    lines: dict[tuple[str, int | str], int] = {}
    for number, service in services:
        for field, value in (("id", service.id), ("service_id", service.service_id)):
            earlier = lines.setdefault((field, value), number)
            if earlier != number:
                sentence = f"{field} {shown(value)} stands in {place(earlier)} already"
                yield number, Problem(field, "taken", value, sentence, {"other": earlier})


def _cycles(services: Sequence[Numbered], parents: dict[int, int | None]) -> Iterator[Found]:
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
            sentence = f"parent_id {service.parent_id} makes a cycle: {cycle}"
            yield number, Problem("parent_id", "cycle", service.parent_id, sentence, {"ids": ids[ids.index(at) :]})
        rooted.update(way)
