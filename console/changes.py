"""Differences between two states of an entry, field by field, as the history and the page of a conflict show them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from console.forms.fields import LABELS, shown_line

_LISTS = ("phrases", "surfaces")
_HIDDEN = ("null",)


@dataclass(frozen=True)
class FieldChange:
    """A field that differs: what was removed, and what was added."""

    field: str
    label: str
    removed: tuple[str, ...]
    added: tuple[str, ...]


def differences(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> list[FieldChange]:
    """The fields that differ between two lines of a catalog; of a list, what it lost and gained."""
    old, new = before or {}, after or {}
    found = []
    for field, label in LABELS.items():
        if field in _HIDDEN or old.get(field) == new.get(field):
            continue
        if field in _LISTS:
            was, now = list(old.get(field) or ()), list(new.get(field) or ())
            removed = tuple(shown_line(text) for text in was if text not in now)
            added = tuple(shown_line(text) for text in now if text not in was)
            if not removed and not added:
                added = ("순서가 바뀌었어요",)
        else:
            removed = (shown(field, old[field]),) if old.get(field) not in (None, "") else ()
            added = (shown(field, new[field]),) if new.get(field) not in (None, "") else ()
        if removed or added:
            found.append(FieldChange(field, label, removed, added))
    return found


def shown(field: str, value: Any) -> str:
    """A field's value in words."""
    if field in _LISTS:
        return "\n".join(shown_line(str(item)) for item in value or ())
    if field == "open":
        return "오픈" if value else "닫힘"
    if value is None or value == "":
        return "(비어 있음)"
    return str(value)
