"""What a publish made, in figures and sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Published:
    """What a publish made.

    Attributes:
        number: of the generation that serves now.
        services: in the catalog.
        open: how many of them can be found.
        phrases: of services, names included.
        null: what the manifest says of null phrases, None if there are none.
        notes: sentences on what was left out of the catalog and the settings.
        remarks: sentences on the generation.
        removed: numbers of older generations, which are gone.
    """

    number: int
    services: int
    open: int
    phrases: int
    null: Mapping[str, Any] | None
    notes: Sequence[str]
    remarks: Sequence[str]
    removed: Sequence[int]

    def __str__(self) -> str:
        """All of it, in lines."""
        serves = f"{self.open} open of {self.services} services, {self.phrases} phrases"
        lines = [*self.notes, f"generation {self.number} serves: {serves}", *self.remarks]
        return "\n".join([*lines, *([gone(self.removed)] if self.removed else [])])


def describe(null: Mapping[str, Any]) -> str:
    """What a manifest says of null phrases, in two sentences."""
    floor = "" if null["floor"] is None else f", or where no service reaches {null['floor']:.4f}"
    return (
        f"{null['topics']} null topics, {null['phrases']} null phrases: an answer is empty where one of them scores "
        f"more than {null['margin']:.4f} above the best service{floor}. Of {null['left_out']} phrases of services, "
        f"each left out of the catalog and searched for, this leaves {null['lost']:.1%} without an answer"
    )


def gone(numbers: Sequence[int]) -> str:
    """That older generations were removed."""
    return f"removed old generations: {', '.join(map(str, numbers))}"
