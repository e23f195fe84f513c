"""Cells of a spreadsheet file: none of them is a formula."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

_FORMULA = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")  # the last four are full-width ones


def safe_row(values: Iterable[Any]) -> list[Any]:
    """A row for csv.writer: a text that a spreadsheet could take for a formula begins with an apostrophe.

    Numbers stay numbers; None is an empty cell. OWASP, "CSV Injection".

    Example: `=HYPERLINK("http://evil.example")` becomes `'=HYPERLINK("http://evil.example")`.
    """
    return [_safe(value) for value in values]


def _safe(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, int | float):
        return value
    text = str(value)
    return f"'{text}" if text.lstrip(" \u00a0\u3000").startswith(_FORMULA) or text.startswith(_FORMULA) else text
