"""Events of searches, as clients send them and as a server stores them: JSON objects, of these fields and no others.

Each is checked as it comes in. The text of every ValueError is a sentence for the caller: the field, the value, the
bound.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from malgil_core.limits import MAX_TEXT_BYTES, MAX_TOP_K
from malgil_core.text.validation import check_shape, require, shown

MAX_EVENT_BYTES = 16 * 1024
MAX_HITS = 100  # of an event `shown`
MAX_K = 100_000
MAX_SCORE = 1000.0
MAX_NUMBER = 2**53 - 1  # JavaScript's largest whole number
MAX_AT_MS = 253_402_300_799_999  # the end of the year 9999

_HEX = r"^[0-9a-f]{32}$"
_HEX_OR_EMPTY = r"^([0-9a-f]{32})?$"
_NAME = r"^[A-Za-z0-9_.:-]{0,64}$"

Number = Annotated[int, Field(ge=0, le=MAX_NUMBER)]
K = Annotated[int, Field(ge=1, le=MAX_K)]
Rank = Annotated[int, Field(ge=1, le=MAX_TOP_K)]
Score = Annotated[float, Field(ge=-MAX_SCORE, le=MAX_SCORE, allow_inf_nan=False)]
Name = Annotated[str, Field(pattern=_NAME)]

_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


@dataclass(frozen=True, kw_only=True)
class Hit:
    """A hit that was shown.

    Attributes:
        id: of the service.
        rank: its place in the list, from 1.
        score: its score.
        team: the arm of an interleaving that it comes from, or empty.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(strict=True, extra="forbid")

    id: Number
    rank: Rank
    score: Score
    team: Name = ""

    def fields(self) -> dict[str, Any]:
        """As JSON has it."""
        return _without_empty(vars(self), "team")


@dataclass(frozen=True, kw_only=True)
class Event:
    """What every event has.

    Attributes:
        type: "search", "shown", "chosen" or "abandoned".
        search_id: made by the client, 32 hexadecimal digits; the same for all events of one search.
        at_ms: when it happened by the client's clock, in milliseconds since 1970, UTC.
        generation: that answered.
        variant: "EXPERIMENT:ARM", or empty.
        surface: of the app, or empty.
        person: a keyed hash of who searched, 32 hexadecimal digits, or empty.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(strict=True, extra="forbid")

    type: str
    search_id: Annotated[str, Field(pattern=_HEX)]
    at_ms: Annotated[int, Field(ge=0, le=MAX_AT_MS)]
    generation: Number
    variant: Name = ""
    surface: Annotated[str, Field(max_length=64)] = ""
    person: Annotated[str, Field(pattern=_HEX_OR_EMPTY)] = ""

    def fields(self) -> dict[str, Any]:
        """As JSON has it."""
        return dict(vars(self))

    def as_json(self) -> bytes:
        """One line of JSON in UTF-8, without a line break."""
        return _encode(self.fields()).encode()


@dataclass(frozen=True, kw_only=True)
class Search(Event):
    """A query was answered.

    Attributes:
        count: hits in the answer.
        k: which search of this search_id it is, from 1: people search on every keystroke.
        refused_by: what left the answer empty: "null" (a null phrase), "floor", or "" if neither did.
        query: the text; empty unless both client and server log queries.
    """

    type: Literal["search"] = "search"
    count: Annotated[int, Field(ge=0, le=MAX_TOP_K)]
    k: K
    refused_by: Literal["", "null", "floor"] = ""
    query: str = ""

    def fields(self) -> dict[str, Any]:
        """As JSON has it."""
        return _without_empty(vars(self), "query")


@dataclass(frozen=True, kw_only=True)
class Shown(Event):
    """Hits were shown.

    Attributes:
        k: the search whose hits they are.
        hits: best first.
    """

    type: Literal["shown"] = "shown"
    k: K
    hits: Annotated[tuple[Hit, ...], Field(max_length=MAX_HITS)]

    def fields(self) -> dict[str, Any]:
        """As JSON has it."""
        return {**vars(self), "hits": [hit.fields() for hit in self.hits]}


@dataclass(frozen=True, kw_only=True)
class Chosen(Event):
    """A hit was chosen.

    Attributes:
        k: the search whose hit it is.
        id, rank, score, team: of the hit.
    """

    type: Literal["chosen"] = "chosen"
    k: K
    id: Number
    rank: Rank
    score: Score
    team: Name = ""

    def fields(self) -> dict[str, Any]:
        """As JSON has it."""
        return _without_empty(vars(self), "team")


@dataclass(frozen=True, kw_only=True)
class Abandoned(Event):
    """The search was left without a choice.

    Attributes:
        k: the last search.
    """

    type: Literal["abandoned"] = "abandoned"
    k: K


TYPES: dict[str, type[Event]] = {"search": Search, "shown": Shown, "chosen": Chosen, "abandoned": Abandoned}
AnyEvent = Search | Shown | Chosen | Abandoned
_EVENTS: TypeAdapter[AnyEvent] = TypeAdapter(Annotated[AnyEvent, Field(discriminator="type")])

_WHOLE = "it must be a whole number from {} to {}"
_NAMES = "it must be at most 64 of the characters A-Z a-z 0-9 _ . : -"
_BOUNDS = {
    "type": f"it must be {', '.join(TYPES)}",
    "search_id": "it must be 32 of the digits 0-9 a-f",
    "at_ms": f"{_WHOLE.format(0, MAX_AT_MS)}, milliseconds since 1970",
    "generation": _WHOLE.format(0, MAX_NUMBER),
    "variant": _NAMES,
    "surface": "it must be a text of at most 64 characters",
    "person": "it must be empty, or 32 of the digits 0-9 a-f",
    "count": _WHOLE.format(0, MAX_TOP_K),
    "k": _WHOLE.format(1, MAX_K),
    "refused_by": 'it must be "", "null" or "floor"',
    "query": f"it must be a text of at most {MAX_TEXT_BYTES} bytes",
    "hits": f"it must be a list of at most {MAX_HITS} hits",
    "id": _WHOLE.format(0, MAX_NUMBER),
    "rank": _WHOLE.format(1, MAX_TOP_K),
    "score": f"it must be a number from {-MAX_SCORE:g} to {MAX_SCORE:g}",
    "team": _NAMES,
}


def parse_event(raw: bytes) -> AnyEvent:
    """An event from its JSON.

    Raises:
        ValueError: it is no event; the text says why.
    """
    if len(raw) > MAX_EVENT_BYTES:
        raise ValueError(f"event is {len(raw)} bytes long: at most {MAX_EVENT_BYTES} are taken")
    try:
        event = _EVENTS.validate_json(raw)
    except ValidationError as error:
        raise ValueError(_sentence(error.errors(include_url=False)[0])) from None
    if isinstance(event, Search) and len(query := event.query.encode()) > MAX_TEXT_BYTES:
        raise ValueError(f"query is {len(query)} bytes long: at most {MAX_TEXT_BYTES} are taken")
    line = event.as_json()
    if len(line) > MAX_EVENT_BYTES:  # fields that were left out stand in it, too
        raise ValueError(f"event is {len(line)} bytes long as it is stored: at most {MAX_EVENT_BYTES} are taken")
    if line != raw:  # a client's own line holds no field twice: what it says is what was read
        json.loads(raw, object_pairs_hook=_check_once)
    return event


def parse_events(tensor: Any) -> list[AnyEvent]:
    """The events of one request to the model `events`.

    Args:
        tensor: object array [B, 1] of bytes, None if the request has none.

    Raises:
        ValueError: the tensor is missing or of another shape, or one of the events is none; the text says which.
    """
    check_shape("event", require("event", tensor).shape)
    elements: Sequence[bytes] = tensor.ravel().tolist()
    return list(_numbered(elements))


def _numbered(elements: Sequence[bytes]) -> Iterable[AnyEvent]:
    for number, raw in enumerate(elements, start=1):
        try:
            yield parse_event(raw)
        except ValueError as error:
            where = f"event {number} of {len(elements)}: " if len(elements) > 1 else ""
            raise ValueError(f"{where}{error}") from None


def without_query(event: AnyEvent) -> AnyEvent:
    """The event as a server stores it that does not log queries."""
    return replace(event, query="") if isinstance(event, Search) and event.query else event


def _without_empty(fields: dict[str, Any], name: str) -> dict[str, Any]:
    return {field: value for field, value in fields.items() if value or field != name}


def _check_once(pairs: list[tuple[str, Any]]) -> None:
    seen: set[str] = set()
    for field, _ in pairs:
        if field in seen:
            raise ValueError(f"{_shown(field)} is there twice: a field is written once")
        seen.add(field)


def _sentence(error: ErrorDetails) -> str:
    """What is wrong, by pydantic's first error."""
    kind, value, path = error["type"], error["input"], [*error["loc"]]
    if kind == "json_invalid":
        return f"event is not JSON: {error['ctx']['error']}"
    if path and path[0] in TYPES:  # pydantic puts the type first
        del path[0]
    if not path or kind.startswith("union_tag_"):
        return _no_type(value)
    field, numbers = path[-1], [part for part in path if isinstance(part, int)]
    if isinstance(field, int):
        problem = f"it is {_shown(value)}: a hit is an object with id, rank and score"
    elif kind == "missing":
        problem = f"{field} is missing"
    elif kind == "unexpected_keyword_argument":
        problem = f"{_shown(field)} is no field of this event: nothing else is stored"
    else:
        problem = f"{field} is {_shown(value)}: {_BOUNDS[field]}"
    return f"hit {numbers[0] + 1}: {problem}" if numbers else problem


def _no_type(value: Any) -> str:
    if not isinstance(value, dict):
        return f"event is {_shown(value)}: it must be an object"
    return f"type is {_shown(value['type'])}: {_BOUNDS['type']}" if "type" in value else "type is missing"


def _shown(value: Any) -> str:
    """A value as `shown` has it, or a few words where Python refuses to write its thousands of digits."""
    if isinstance(value, int) and abs(value) > 2**64:
        return f"a number of {value.bit_length()} bits"
    try:
        return shown(value)
    except ValueError:  # such a number in a list
        return f"a {type(value).__name__}"
