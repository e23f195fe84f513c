"""Errors of a catalog."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any


class CatalogError(ValueError):
    """A catalog that cannot be published; its text has one line for each problem."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = list(problems)
        super().__init__("\n".join(problems))


def shown(value: Any) -> str:
    """A value as JSON, cut to 60 characters, that can always be printed."""
    text = json.dumps(value, ensure_ascii=False)
    return (text if len(text) <= 60 else text[:57] + "...").encode("utf-8", "backslashreplace").decode()
