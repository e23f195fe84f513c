"""Reading a catalogue: JSON Lines, one service a line, every mistake named by its line.

    {"id": 12, "parent_id": 3, "service_id": "transfer-account", "name": "계좌 송금", "path": "송금 > 계좌 송금",
     "open": true, "phrases": ["이체", "다른 사람에게 돈을 보내는 기능"], "memo": "", "surfaces": ["SEARCH", "RECO"],
     "threshold": 0.87}

`parent_id` and `threshold` may be null, `memo` empty. The name is a phrase too.
"""

from __future__ import annotations

import codecs
import json
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from malgil_core.limits import MAX_TEXT_BYTES

MAX_ID = 2**63 - 1


class CatalogError(ValueError):
    """A catalogue that must not be published; its text has one line for each mistake."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


@dataclass(frozen=True)
class Service:
    """One line of a catalogue."""

    id: int
    parent_id: int | None
    service_id: str
    name: str
    path: str
    open: bool
    phrases: tuple[str, ...]
    memo: str
    surfaces: tuple[str, ...]
    threshold: float | None

    @property
    def texts(self) -> tuple[str, ...]:
        """What a query is matched with: the name and the phrases."""
        return (self.name, *self.phrases)

    def as_dict(self) -> dict[str, Any]:
        """The service as it stands in a catalogue's line."""
        return asdict(self)


def read(path: Path) -> list[Service]:
    """Read and validate a catalogue file.

    Raises:
        CatalogError: every mistake that was found, each with its line.
        OSError: the file cannot be read.
    """
    return parse(path.read_bytes(), str(path))


def parse(content: bytes, source: str) -> list[Service]:
    """Validate a catalogue's content; `source` is what errors call it."""
    problems: list[str] = []
    services: list[tuple[int, Service]] = []
    for number, line in enumerate(content.removeprefix(codecs.BOM_UTF8).split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            services.append((number, _service(json.loads(line.decode("utf-8")))))
        except UnicodeDecodeError as error:
            problems.append(f"{source}:{number}: not UTF-8: {error.reason} at byte {error.start}")
        except json.JSONDecodeError as error:
            problems.append(f"{source}:{number}: not JSON: {error.msg} at column {error.colno}")
        except (ValueError, RecursionError) as error:
            problems.append(f"{source}:{number}: {error}")
    problems += [f"{source}:{number}: {text}" for number, text in _relations(services)]
    if not services and not problems:
        problems.append(f"{source}: no services")
    if problems:
        raise CatalogError(problems)
    return [service for _, service in services]


def _service(value: Any) -> Service:
    if not isinstance(value, dict):
        raise ValueError(f"a service is an object, not {type(value).__name__}")
    fields: dict[str, Callable[[Any], Any]] = {
        "id": _id,
        "parent_id": lambda v: None if v is None else _id(v),
        "service_id": _text,
        "name": _text,
        "path": _text,
        "open": _flag,
        "phrases": lambda v: _texts(v, at_least=1),
        "memo": lambda v: _text(v, blank=True),
        "surfaces": lambda v: _texts(v, at_least=0),
        "threshold": _threshold,
    }
    optional: dict[str, Any] = {"parent_id": None, "memo": "", "surfaces": [], "threshold": None}
    unknown = sorted(set(value) - set(fields))
    if unknown:
        raise ValueError(f"unknown field {unknown[0]!r}; the fields are {', '.join(fields)}")
    parsed = {}
    for name, parse_field in fields.items():
        if name not in value and name not in optional:
            raise ValueError(f"{name} is missing")
        try:
            parsed[name] = parse_field(value.get(name, optional.get(name)))
        except ValueError as error:
            raise ValueError(f"{name} {error}") from None
    return Service(**parsed)


def _id(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_ID:
        raise ValueError(f"is {_shown(value)}: it must be a whole number from 0 to {MAX_ID}")
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"is {_shown(value)}: it must be true or false")
    return value


def _text(value: Any, blank: bool = False) -> str:
    if not isinstance(value, str):
        raise ValueError(f"is {_shown(value)}: it must be a text")
    text = unicodedata.normalize("NFC", value)
    try:
        size = len(text.encode("utf-8"))
    except UnicodeEncodeError:
        raise ValueError(f"is {_shown(value)}: it holds half a surrogate pair") from None
    if size > MAX_TEXT_BYTES:
        raise ValueError(f"is {size} bytes long: at most {MAX_TEXT_BYTES} are taken")
    if not blank and not text.strip():
        raise ValueError("is empty")
    return text


def _texts(value: Any, at_least: int) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ValueError(f"is {_shown(value)}: it must be a list of texts")
    if len(value) < at_least:
        raise ValueError(f"is empty: at least {at_least} is needed")
    texts: list[str] = []
    seen: set[str] = set()
    for i, item in enumerate(value, start=1):
        try:
            texts.append(_text(item))
        except ValueError as error:
            raise ValueError(f"number {i} {error}") from None
        if texts[-1] in seen:
            raise ValueError(f"number {i} is {_shown(item)}, which stands there already")
        seen.add(texts[-1])
    return tuple(texts)


def _threshold(value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not -1 <= value <= 1:
        raise ValueError(f"is {_shown(value)}: it must be from -1 to 1, or null")
    return float(value)


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return (text if len(text) <= 60 else text[:57] + "...").encode("utf-8", "backslashreplace").decode()


def _relations(services: Iterable[tuple[int, Service]]) -> list[tuple[int, str]]:
    """Mistakes between lines: duplicate ids, unknown parents, cycles."""
    problems: list[tuple[int, str]] = []
    first_line: dict[tuple[str, Any], int] = {}
    parents: dict[int, int | None] = {}
    services = list(services)
    for number, service in services:
        for field, value in (("id", service.id), ("service_id", service.service_id)):
            earlier = first_line.setdefault((field, value), number)
            if earlier != number:
                problems.append((number, f"{field} {_shown(value)} stands in line {earlier} already"))
        parents.setdefault(service.id, service.parent_id)
    for number, service in services:
        if service.parent_id is not None and service.parent_id not in parents:
            problems.append((number, f"parent_id {service.parent_id} is no service's id"))
    rooted: set[int | None] = {None}
    for number, service in services:
        seen: dict[int, None] = {}  # in order
        at: int | None = service.id
        while at not in rooted and at in parents and at not in seen:
            seen[at] = None
            at = parents[at]
        if at in seen:
            way = list(seen)
            cycle = " → ".join(map(str, [*way[way.index(at) :], at]))
            problems.append((number, f"parent_id {service.parent_id} makes a cycle: {cycle}"))
        rooted.update(seen)
    return problems
