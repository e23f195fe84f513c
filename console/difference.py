"""The difference between the draft and what is published, by service and field."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

from malgil_core.catalog.reading import Catalog
from malgil_core.index import history

from console.changes import FieldChange, differences
from console.published import Generation

WHAT = {"added": "새로 생겨요", "removed": "없어져요", "changed": "바뀌어요"}


@dataclass(frozen=True)
class Changed:
    """A service or null topic that a publish would change.

    Attributes:
        id: of a service, None for a null topic.
        name: of either.
        what: "added", "removed" or "changed".
        fields: that differ.
    """

    id: int | None
    name: str
    what: str
    fields: list[FieldChange]

    @property
    def words(self) -> str:
        """What happens to it."""
        return WHAT[self.what]


class Differences:
    """The last difference that was asked for, kept: it takes a tenth of a second at 5,000 services."""

    def __init__(self) -> None:
        self._kept: tuple[tuple[int | None, int], list[Changed]] | None = None
        self._lock = Lock()

    def between(self, published: Generation | None, catalog: Catalog, revision: int) -> list[Changed]:
        """What a publish of a catalog, the store's at this revision, would change."""
        key = (published.number if published else None, revision)
        with self._lock:
            if self._kept is None or self._kept[0] != key:
                self._kept = (key, changed(published.lines if published else [], catalog.lines()))
            return self._kept[1]


def changed(before: Sequence[dict[str, Any]], after: Sequence[dict[str, Any]]) -> list[Changed]:
    """The entries that differ, services first."""
    old = {history.key_of(line): line for line in before}
    found = []
    for change in history.diff(before, after):
        line = change.line
        was = old.get(history.key_of(line)) if change.what != "added" else None
        fields = differences(was, line if change.what != "removed" else None) if change.what == "changed" else []
        found.append(Changed(None if "null" in line else int(line["id"]), line["name"], change.what, fields))
    return found
