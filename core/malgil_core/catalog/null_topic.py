"""A null topic of the catalog: something that the app does not do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class NullTopic:
    """Something that the app does not do; one line of a catalog with `"null": true`. Never a hit."""

    name: str  # shown where a query was refused; not compared with queries
    phrases: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """The fields as in a line of a catalog."""
        return {"null": True, "name": self.name, "phrases": list(self.phrases)}
