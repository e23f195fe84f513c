"""Reading of data files by rows and fields; whatever is wrong is named by file, line and field."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

from training.errors import TrainingError

LONGEST = 10_000  # characters of a text


class DataError(TrainingError):
    """A data file, or a line of it, that cannot be used; the text names file, line, field, value and bound."""


def table(path: Path, columns: Sequence[str], delimiter: str, quoted: bool) -> Iterator[tuple[int, dict[str, str]]]:
    """The rows of a table with a header, as (line, {column: value}); columns that are not asked for are left out.

    Raises:
        DataError: a column is missing, or a row of another length.
    """
    with _open(path) as stream:
        reader = csv.DictReader(stream, delimiter=delimiter, quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE)
        try:
            missing = [name for name in columns if name not in (reader.fieldnames or ())]
            if missing:
                raise DataError(f"{path}:1: no column {missing[0]!r}: the header must have {', '.join(columns)}")
            for row in reader:
                values = {name: row[name] for name in columns}
                empty = [name for name, value in values.items() if value is None]
                if empty:
                    raise DataError(f"{path}:{reader.line_num}: the row ends before the field {empty[0]}")
                yield reader.line_num, values
        except (csv.Error, UnicodeDecodeError) as error:
            raise DataError(f"{path}:{reader.line_num + 1}: {error}") from None


def lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a text file that are not blank, with their numbers."""
    number = 0
    with _open(path) as stream:
        try:
            for number, line in enumerate(stream, start=1):
                if line.strip():
                    yield number, line.rstrip("\r\n")
        except UnicodeDecodeError as error:
            raise DataError(f"{path}:{number + 1}: {error}") from None


def json_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of a file of JSON Lines."""
    for number, line in lines(path):
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{path}:{number}: not JSON: {error}") from None
        if not isinstance(value, dict):
            raise DataError(f"{path}:{number}: {line[:40]}: a line must be an object")
        yield number, value


def text(path: Path, line: int, field: str, value: object) -> str:
    """A field that must be a text.

    Raises:
        DataError: it is something else, blank or too long.
    """
    if not isinstance(value, str) or not value.strip():
        raise DataError(f"{path}:{line}: {field} is {_shown(value)}: it must be a text that is not blank")
    if len(value) > LONGEST:
        raise DataError(f"{path}:{line}: {field} has {len(value):,} characters: at most {LONGEST:,}")
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise DataError(f"{path}:{line}: {field} holds half a surrogate pair")
    return value.strip()


def choice(path: Path, line: int, field: str, value: object, choices: Sequence[str]) -> int:
    """The place of a field's value among those it can have."""
    if value not in choices:
        raise DataError(f"{path}:{line}: {field} is {_shown(value)}: it must be {', '.join(choices)}")
    return choices.index(str(value))


def number(path: Path, line: int, field: str, value: str, low: float, high: float) -> float:
    """A field that must be a number within bounds."""
    try:
        found = float(value)
    except ValueError:
        found = float("nan")
    if not low <= found <= high:
        raise DataError(f"{path}:{line}: {field} is {_shown(value)}: it must be a number from {low:g} to {high:g}")
    return found


def _open(path: Path) -> TextIO:
    if not path.is_file():
        raise DataError(f"{path}: there is no such file")
    return path.open(encoding="utf-8-sig", newline="")


def _shown(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)[:60]
