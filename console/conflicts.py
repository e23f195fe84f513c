"""Two people edited the same entry: each field that differs, mine and theirs and both, to choose from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import FormData

from console.changes import shown
from console.forms.fields import LABELS, merged_lines, shown_line, text

_LISTS = ("phrases", "surfaces")


@dataclass(frozen=True)
class Difference:
    """A field in which my content and the stored one differ.

    Attributes:
        mine, theirs: in words.
        both: the lines of both, where the field is a list and both sides changed it; else None.
        chosen: what is marked at first: "mine", "theirs" or "both". The side that alone changed the field, both of a
            list, and mine where both changed a text.
    """

    field: str
    label: str
    mine: str
    theirs: str
    both: str | None
    chosen: str


def compare(base: Mapping[str, Any] | None, mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[Difference]:
    """The fields that differ. `base` is the entry as it was when the form was opened, None where nobody knows."""
    found = []
    for field, label in LABELS.items():
        if field not in mine or field == "id":
            continue
        my, their, old = (_comparable(field, side) for side in (mine, theirs, base))
        if my == their:
            continue
        both, chosen = None, "mine"
        if base and my == old:
            chosen = "theirs"
        elif field in _LISTS and not (base and their == old):
            common = old if base else [line for line in my if line in their]
            both, chosen = "\n".join(merged_lines(common, my, their)), "both"
        found.append(Difference(field, label, shown(field, my), shown(field, their), both, chosen))
    return found


def choices(form: FormData) -> dict[str, str]:
    """What was chosen for each field: "mine", "theirs" or "both"."""
    names = [name.removeprefix("choice.") for name in form if name.startswith("choice.")]
    return {name: text(form, f"choice.{name}") for name in names if name in LABELS}


def resolved(form: FormData, theirs: Mapping[str, Any]) -> dict[str, Any]:
    """The values of the fields for which not mine was chosen, from the stored entry or from the merged lines."""
    found: dict[str, Any] = {}
    for field, choice in choices(form).items():
        if choice == "theirs":
            found[field] = theirs[field]
        elif choice == "both" and field in _LISTS:
            found[field] = [line for line in text(form, f"both.{field}").split("\n") if line.strip()]
    return found


def _comparable(field: str, side: Mapping[str, Any] | None) -> Any:
    value = side[field] if side else None
    return [shown_line(str(item)) for item in value or ()] if field in _LISTS else value
