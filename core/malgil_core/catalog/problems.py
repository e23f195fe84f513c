"""A problem of a catalog's field: a stable code with its values, for messages in other languages, and a sentence."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any


@dataclasses.dataclass(frozen=True)
class Problem:
    """What is wrong with one field of a service or null topic.

    Attributes:
        field: its name; empty if no single field is meant.
        code: what is wrong, one of a fixed set.
        value: the value that was refused.
        params: what the sentence names besides, by name: a bound, the number of an item, another entry.
        sentence: the problem in English: field, value, bound.
    """

    field: str
    code: str
    value: Any
    sentence: str
    params: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __str__(self) -> str:
        return self.sentence
