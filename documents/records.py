"""The documents of a JSON Lines file, each problem named by its line.

    {"id": "transfer-limit", "title": "이체 한도 올리기", "body": "한도는 …", "url": "https://help.example.com/limit",
     "category": "송금", "updated_at": "2025-03-02", "surfaces": ["HELP"], "open": true, "service_ids": [],
     "phrases": ["하루에 더 많이 보내고 싶어"]}

Only `id`, `title` and `body` must be there.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from malgil_core.documents.filters import MAX_NAME, date_number
from malgil_core.text.validation import is_blank, shown
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from documents.errors import RecordError

MAX_LINE_BYTES = 2**20
MAX_BODY_BYTES = 2**18
MAX_PHRASES = 50
MAX_PHRASE = 200  # characters
Refuse = Callable[[str, str], None]  # called with the place and the sentence
Place = str


@dataclass(frozen=True)
class Record:
    """A document as it was written."""

    id: str
    title: str
    body: str
    url: str
    category: str
    updated_at: str | None
    surfaces: tuple[str, ...]
    open: bool
    service_ids: tuple[str, ...]
    phrases: tuple[str, ...] = ()

    def content(self) -> str:
        """All that is kept of it, as one text: two documents with the same are the same."""
        return json.dumps(vars(self), ensure_ascii=False, sort_keys=True)


def _plain(text: str) -> str:
    """The text in one Unicode form, without control characters but line feeds."""
    composed = unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n").replace("\t", " "))
    if any("\ud800" <= letter <= "\udfff" for letter in composed):
        raise ValueError("holds half a surrogate pair")
    found = next((letter for letter in composed if unicodedata.category(letter) == "Cc" and letter != "\n"), None)
    if found is not None:
        raise ValueError(f"holds the control character U+{ord(found):04X}")
    return composed


def _line(text: str) -> str:
    return _shown(" ".join(_plain(text).split()))


def _shown(text: str) -> str:
    if is_blank(text.replace("\n", " ")):
        raise ValueError("has no visible character")
    return text


def _body(text: str) -> str:
    size = len(text.encode("utf-8", "replace"))
    if size > MAX_BODY_BYTES:
        raise ValueError(f"is {size} bytes long: at most {MAX_BODY_BYTES} are taken")
    return _shown(_plain(text))


def _date(text: str) -> str:
    try:
        date_number(text)
    except ValueError:
        raise ValueError("must be a date YYYY-MM-DD, or a time that begins so") from None
    return text


def _url(text: str) -> str:
    if text and not text.startswith(("https://", "http://", "/")):
        raise ValueError("must begin with https://, http:// or /")
    return _plain(text)


Name = Annotated[str, Field(max_length=MAX_NAME), AfterValidator(_line)]
Names = Annotated[list[Name], Field(max_length=16)]
Phrase = Annotated[str, Field(max_length=MAX_PHRASE), AfterValidator(_line)]


class _Fields(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    id: Annotated[str, Field(max_length=200), AfterValidator(_line)]
    title: Annotated[str, Field(max_length=300), AfterValidator(_line)]
    body: Annotated[str, AfterValidator(_body)]
    url: Annotated[str, Field(max_length=2000), AfterValidator(_url)] = ""
    category: Name | None = None
    updated_at: Annotated[str, Field(max_length=40), AfterValidator(_date)] | None = None
    surfaces: Names = []
    open: bool = True
    service_ids: Names = []
    phrases: Annotated[list[Phrase], Field(max_length=MAX_PHRASES)] = []


def record(value: Any) -> Record:
    """A document of an object's fields.

    Raises:
        RecordError: one of them is missing, unknown or out of its bounds.
    """
    if not isinstance(value, dict):
        raise RecordError(f"a document is an object, not {type(value).__name__}")
    try:
        fields = _Fields.model_validate(value)
    except ValidationError as error:
        raise RecordError(_sentence(error)) from None
    lists = {
        "surfaces": tuple(sorted(set(fields.surfaces))),
        **{name: tuple(dict.fromkeys(getattr(fields, name))) for name in ("service_ids", "phrases")},
    }
    return Record(**{**dict(fields), "category": fields.category or "", **lists})


def _sentence(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    kind, place = first["type"], ".".join(str(part) for part in first["loc"])[:60]
    if kind == "missing":
        return f"{place} is missing"
    if kind == "extra_forbidden":
        return f"{shown(place)} is no field: the fields are {', '.join(_Fields.model_fields)}"
    if kind == "string_unicode":
        return f"{place} holds half a surrogate pair"
    if kind == "value_error":
        return f"{place} {first['ctx']['error']}"
    return f"{place} is {shown(first['input'])}: {first['msg'][0].lower()}{first['msg'][1:]}"


def read_lines(path: Path, refuse: Refuse) -> Iterator[tuple[Place, Record]]:
    """The documents of a JSON Lines file, with the place of each; what is no document is refused, and the rest goes on.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        number = 0
        while line := file.readline(MAX_LINE_BYTES + 1):
            number += 1
            place = f"{path}:{number}"
            if len(line) > MAX_LINE_BYTES:
                refuse(place, f"longer than {MAX_LINE_BYTES} bytes")
                while line and not line.endswith(b"\n"):
                    line = file.readline(MAX_LINE_BYTES)
                continue
            if not line.strip():
                continue
            try:
                yield place, record(_parsed(line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line))
            except RecordError as error:
                refuse(place, str(error))


def _parsed(line: bytes) -> Any:
    try:
        return json.loads(line.decode("utf-8"), object_pairs_hook=_object)
    except UnicodeDecodeError as error:
        raise RecordError(f"not UTF-8: {error.reason} at byte {error.start}") from None
    except json.JSONDecodeError as error:
        raise RecordError(f"not JSON: {error.msg} at column {error.colno}") from None
    except (ValueError, RecursionError) as error:  # numbers too long, objects too deep
        raise RecordError(f"not a document: {error}") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise RecordError("a field stands there twice")
    return fields
