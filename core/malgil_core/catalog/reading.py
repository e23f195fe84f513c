"""Reading of a catalog: JSON Lines, one service or null topic a line, each problem named by its line.

    {"id": 12, "parent_id": 3, "service_id": "transfer-account", "name": "계좌 송금", "path": "송금 > 계좌 송금",
     "open": true, "phrases": ["이체", "다른 사람에게 돈을 보내는 기능"], "memo": "", "surfaces": ["SEARCH", "RECO"],
     "threshold": 0.87}
    {"null": true, "name": "날씨", "phrases": ["오늘 날씨", "내일 비 와?"]}

`parent_id`, `memo`, `surfaces` and `threshold` can be left out. A service's name is a phrase too.
"""

from __future__ import annotations

import codecs
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from malgil_core.catalog.errors import CatalogError
from malgil_core.catalog.null_topic import NullTopic
from malgil_core.catalog.relations import Numbered, NumberedTopic, null_relations, relations
from malgil_core.catalog.service import Service
from malgil_core.catalog.validation import validate
from malgil_core.text.validation import shown

__all__ = [
    "Catalog",
    "CatalogError",
    "NullTopic",
    "Service",
    "parse",
    "parse_catalog",
    "parse_lines",
    "read",
    "read_catalog",
    "with_null_files",
]


@dataclass(frozen=True)
class Catalog:
    """The services that can be found, and what the app does not do."""

    services: list[Service]
    null_topics: list[NullTopic] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)  # sentences on null phrases that were left out

    def lines(self) -> list[dict[str, Any]]:
        """The lines of a file: services first, then null topics."""
        return [*(service.as_dict() for service in self.services), *(topic.as_dict() for topic in self.null_topics)]


def read(path: Path) -> list[Service]:
    """The services in a catalog file, as `read_catalog`."""
    return read_catalog(path).services


def parse(content: bytes, source: str) -> list[Service]:
    """The services in a catalog's content, as `parse_catalog`."""
    return parse_catalog(content, source).services


def read_catalog(path: Path, null_files: Sequence[Path] = ()) -> Catalog:
    """The services and null topics in a catalog file, and the null topics in further files.

    A null phrase of a further file that is a service's name or phrase is left out, and noted: a set of null topics
    that is shared by catalogs cannot know what each of them holds. One that stands in an earlier file counts once.

    Raises:
        CatalogError: every problem that was found in one of the files, each with its line.
        OSError: a file cannot be read.
    """
    return with_null_files(parse_catalog(path.read_bytes(), str(path)), null_files)


def with_null_files(catalog: Catalog, null_files: Sequence[Path]) -> Catalog:
    """The catalog with the null topics in further files, as `read_catalog`."""
    for file in null_files:
        catalog = _with_topics(catalog, _topics(file.read_bytes(), str(file)), str(file))
    return catalog


def parse_catalog(content: bytes, source: str) -> Catalog:
    """The services and null topics in a catalog's content; `source` is its name in errors."""
    services, topics, problems = _lines(content, source)
    problems += _between(services, topics, source)
    if not services and not problems:
        problems.append(f"{source}: no services")
    if problems:
        raise CatalogError(problems)
    return Catalog([service for _, service in services], [topic for _, topic in topics])


def parse_lines(content: bytes, source: str) -> list[tuple[int, Service | NullTopic]]:
    """The services and null topics in a content with the numbers of their lines; there may be null topics alone.

    Raises:
        CatalogError: every problem that was found, each with its line.
    """
    services, topics, problems = _lines(content, source)
    problems += _between(services, topics, source)
    if not services and not topics and not problems:
        problems.append(f"{source}: no services and no null topics")
    if problems:
        raise CatalogError(problems)
    return sorted([*services, *topics], key=lambda entry: entry[0])


def _between(services: Sequence[Numbered], topics: Sequence[NumberedTopic], source: str) -> Iterator[str]:
    found = (*relations(services), *null_relations(topics, services))
    return (f"{source}:{number}: {problem}" for number, problem in found)


def _topics(content: bytes, source: str) -> list[NumberedTopic]:
    """The null topics in the content of a file that holds nothing else."""
    services, topics, problems = _lines(content, source)
    problems += [f'{source}:{number}: a service: --null-topics takes lines with "null": true' for number, _ in services]
    problems += [f"{source}:{number}: {problem}" for number, problem in null_relations(topics, [])]
    if not topics and not problems:
        problems.append(f"{source}: no null topics")
    if problems:
        raise CatalogError(problems)
    return topics


def _with_topics(catalog: Catalog, topics: Sequence[NumberedTopic], source: str) -> Catalog:
    services = {text: service for service in catalog.services for text in service.texts}
    known = {phrase for topic in catalog.null_topics for phrase in topic.phrases}
    merged = {topic.name: topic.phrases for topic in catalog.null_topics}
    notes = list(catalog.notes)
    for number, topic in topics:
        for phrase in topic.phrases:
            if phrase in services:
                name = services[phrase].name
                notes.append(f"{source}:{number}: {shown(phrase)} is left out: it is a phrase of service {shown(name)}")
        kept = tuple(phrase for phrase in topic.phrases if phrase not in services and phrase not in known)
        if kept:
            merged[topic.name] = (*merged.get(topic.name, ()), *kept)
    return Catalog(catalog.services, [NullTopic(*item) for item in merged.items()], notes)


def _lines(content: bytes, source: str) -> tuple[list[Numbered], list[NumberedTopic], list[str]]:
    """The services and null topics of a content with their lines, and the problems of single lines."""
    problems: list[str] = []
    services: list[Numbered] = []
    topics: list[NumberedTopic] = []
    for number, line in _numbered(content):
        if line.lstrip().startswith(b"[") and not services and not topics and not problems:
            problems.append(f"{source}:{number}: an array: a catalog has one service a line, without [, ] and commas")
            break
        try:
            entry = _entry(line)
        except CatalogError as error:
            problems += [f"{source}:{number}: {problem}" for problem in error.problems]
        else:
            if isinstance(entry, Service):
                services.append((number, entry))
            else:
                topics.append((number, entry))
    return services, topics, problems


def _numbered(content: bytes) -> Iterator[tuple[int, bytes]]:
    """The lines that are not blank, each with its number."""
    lines = enumerate(content.removeprefix(codecs.BOM_UTF8).split(b"\n"), start=1)
    return ((number, line) for number, line in lines if line.strip())


def _entry(line: bytes) -> Service | NullTopic:
    try:
        value = json.loads(line.decode("utf-8"), object_pairs_hook=_object)
    except UnicodeDecodeError as error:
        raise CatalogError([f"not UTF-8: {error.reason} at byte {error.start}"]) from None
    except json.JSONDecodeError as error:
        raise CatalogError([f"not JSON: {error.msg} at column {error.colno}"]) from None
    except CatalogError:
        raise
    except (ValueError, RecursionError) as error:  # numbers too long, objects too deep
        raise CatalogError([str(error)]) from None
    return validate(value)


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        counts = Counter(name for name, _ in pairs)
        raise CatalogError(
            [f"field {shown(name)} stands there {count} times" for name, count in counts.items() if count > 1]
        )
    return fields
