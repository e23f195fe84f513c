"""Filters of a search for documents: a small JSON object, checked field by field.

    {"category": ["송금", "계좌"], "surface": "HELP", "updated_from": "2025-01-01", "updated_to": "2025-12-31"}

Each field may be left out; a document must fit all that are there.
"""

from __future__ import annotations

import datetime
import json
import unicodedata
from dataclasses import dataclass
from typing import Any

from malgil_core.text.validation import shown

MAX_FILTER_BYTES = 2048
MAX_VALUES = 16  # categories in one filter
MAX_NAME = 100  # characters of a category or a surface
FIELDS = ("category", "surface", "updated_from", "updated_to")


@dataclass(frozen=True)
class Filter:
    """What a document must fit to be found.

    Attributes:
        categories: its category is one of these; empty: any.
        surface: one of its surfaces; None: any.
        updated_from, updated_to: bounds of its date, both included, as YYYYMMDD; None: without a bound.
    """

    categories: tuple[str, ...] = ()
    surface: str | None = None
    updated_from: int | None = None
    updated_to: int | None = None


ALL = Filter()


def parse_filter(raw: bytes | str) -> Filter:
    """The filter in a JSON object; blank text is the filter that every document fits.

    Raises:
        ValueError: it is something else; the sentence names field, value and bound.
    """
    raw = raw.encode("utf-8", "surrogatepass") if isinstance(raw, str) else raw
    if len(raw) > MAX_FILTER_BYTES:
        raise ValueError(f"documents_filter is {len(raw)} bytes long: at most {MAX_FILTER_BYTES} are taken")
    if not raw.strip():
        return ALL
    try:
        value = json.loads(raw.decode("utf-8"), object_pairs_hook=_object)
    except UnicodeDecodeError as error:
        raise ValueError(f"documents_filter is not UTF-8: {error.reason} at byte {error.start}") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"documents_filter is not JSON: {error.msg} at column {error.colno}") from None
    except (ValueError, RecursionError) as error:  # a field that stands there twice, numbers too long, too deep
        raise ValueError(f"documents_filter: {error}") from None
    if not isinstance(value, dict):
        raise ValueError(f"documents_filter is {shown(value)}: it must be an object")
    if unknown := [name for name in value if name not in FIELDS]:
        raise ValueError(f"documents_filter has {shown(unknown[0])}: its fields are {', '.join(FIELDS)}")
    category, surface = value.get("category"), value.get("surface")
    found = Filter(
        () if category is None else _names("category", category if isinstance(category, list) else [category]),
        None if surface is None else _name("surface", surface),
        *(None if value.get(name) is None else _date(name, value[name]) for name in ("updated_from", "updated_to")),
    )
    if found.updated_from and found.updated_to and found.updated_from > found.updated_to:
        raise ValueError(
            f"documents_filter: updated_from is {shown(value['updated_from'])}: it must not be after updated_to, "
            f"{shown(value['updated_to'])}"
        )
    return found


def date_number(date: str) -> int:
    """A date YYYY-MM-DD, or the date of a time that begins so, as the number YYYYMMDD.

    Raises:
        ValueError: it is neither.
    """
    day = datetime.date.fromisoformat(date) if len(date) == 10 else datetime.datetime.fromisoformat(date)
    return day.year * 10_000 + day.month * 100 + day.day


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise ValueError("a field stands there twice")
    return fields


def _names(field: str, values: list[Any]) -> tuple[str, ...]:
    if not 1 <= len(values) <= MAX_VALUES:
        raise ValueError(f"documents_filter: {field} has {len(values)} values: it takes 1 to {MAX_VALUES}")
    return tuple(_name(field, value) for value in values)


def _name(field: str, value: Any) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_NAME or any("\ud800" <= c <= "\udfff" for c in value):
        raise ValueError(
            f"documents_filter: {field} is {shown(value)}: it must be a text of 1 to {MAX_NAME} characters"
        )
    return unicodedata.normalize("NFC", value)


def _date(field: str, value: Any) -> int:
    try:
        if isinstance(value, str) and len(value) == 10:
            return date_number(value)
    except ValueError:
        pass
    raise ValueError(f"documents_filter: {field} is {shown(value)}: it must be a date YYYY-MM-DD") from None
