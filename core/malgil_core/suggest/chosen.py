"""A file of suggestions: what people typed and then chose, none of it rare enough to point to one of them.

    {"text": "카드값 언제 나가", "id": 205, "chosen": 61, "persons": 38, "days": 12}

JSON Lines: `text` as it was typed, the `id` of the service that was chosen for it, `chosen` how often, a person at
most once a day, by how many `persons`, on how many `days`. `python -m feedback suggestions` counts them from events.

The bound is k-anonymity (Sweeney 2002: each record that is released is shared by at least k persons) on the pair of
text and service, over so many days that one evening of one group does not make it. A threshold on the persons who
typed a text is what query logs are released by (Carpineto and Romano 2016); Google's Search Console leaves out queries
by no more than "a few dozen" users. A text that has many digits, as numbers of accounts, cards and telephones do, or
an @, is refused however many persons typed it. The bound holds here, for whoever reads or writes such a file: in the
command that counts, at publish, and when a server loads a generation.
"""

from __future__ import annotations

import codecs
import json
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from malgil_core.catalog.errors import CatalogError
from malgil_core.text.jamo import composed
from malgil_core.text.keystrokes import words
from malgil_core.text.validation import shown

MIN_PERSONS = 30  # distinct ones, within one period of their hashes: see feedback/suggestions.py
MIN_DAYS = 7
MAX_DIGITS = 4  # of a text: a year, an amount; not an account
MAX_CHARACTERS = 60  # of a text
MAX_LINES = 20_000
MAX_ID = 2**53 - 1
_MOST = 2**30  # of a count


@dataclass(frozen=True)
class Chosen:
    """A text that people typed, and the service that they chose for it; one line of a file of suggestions."""

    text: str
    id: int
    chosen: int
    persons: int
    days: int

    def as_dict(self) -> dict[str, Any]:
        """The fields as in a line of the file."""
        return asdict(self)


_NUMBERS = {"id": (0, MAX_ID), "chosen": (1, _MOST), "persons": (MIN_PERSONS, _MOST), "days": (MIN_DAYS, _MOST)}
_NAMES = [field.name for field in fields(Chosen)]


def tidy(text: str) -> str:
    """A text as it is suggested: in one Unicode form, with single spaces."""
    return " ".join(composed(text).split())


def why_unfit(text: str) -> str | None:
    """What is wrong with a text as a suggestion, whoever typed it, as what follows its name; None if nothing."""
    digits = sum(unicodedata.category(letter) == "Nd" for letter in text)
    if digits > MAX_DIGITS:
        return f"has {digits} digits: at most {MAX_DIGITS} are taken, since more may be someone's number"
    if "@" in text or "＠" in text:
        return "has an @: an address may be someone's"
    if len(text) > MAX_CHARACTERS:
        return f"is {len(text)} characters long: at most {MAX_CHARACTERS} are taken"
    if not text.isprintable():
        return f"is {shown(text)}: it must be printable"
    return None if words(text) else f"is {shown(text)}: it must have a letter or a digit"


def checked(value: Any) -> Chosen:
    """A line of the file.

    Raises:
        ValueError: it is not one, or not within the bounds; a sentence with field, value and bound.
    """
    if not isinstance(value, dict):
        raise ValueError(f"a suggestion is an object, not {type(value).__name__}")
    if unknown := [name for name in value if name not in _NAMES]:
        raise ValueError(f"unknown field {shown(unknown[0])}; the fields are {', '.join(_NAMES)}")
    for name in _NAMES:
        if name not in value:
            raise ValueError(f"{name} is missing")
    text = value["text"]
    if not isinstance(text, str) or any("\ud800" <= letter <= "\udfff" for letter in text):
        raise ValueError(f"text is {shown(text)}: it must be a text")
    if text != tidy(text):
        raise ValueError(f"text is {shown(text)}: it must be in NFC, with single spaces")
    if why := why_unfit(text):
        raise ValueError(f"text {why}")
    for name, (lowest, highest) in _NUMBERS.items():
        number = value[name]
        if isinstance(number, bool) or not isinstance(number, int) or not lowest <= number <= highest:
            because = ", or the text could point to one of them" if name in ("persons", "days") else ""
            raise ValueError(
                f"{name} is {shown(number)}: it must be a whole number from {lowest} to {highest}{because}"
            )
    found = Chosen(**value)
    if found.chosen < max(found.persons, found.days):
        raise ValueError(f"chosen is {found.chosen}: it must be at least persons and days, a choice of each")
    return found


def all_checked(values: Iterable[Any]) -> list[Chosen]:
    """The lines of a file, in their order.

    Raises:
        CatalogError: one is refused by `checked`, stands there twice, or there are more than MAX_LINES; each problem
            begins with the line's number and a colon.
    """
    return _all((number, value) for number, value in enumerate(values, start=1))


def parse(content: bytes, source: str) -> list[Chosen]:
    """The lines of a file's content; `source` is its name in errors.

    Raises:
        CatalogError: every problem that was found, each with its line.
    """
    problems: list[str] = []
    values: list[tuple[int, Any]] = []
    for number, line in enumerate(content.removeprefix(codecs.BOM_UTF8).split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            values.append((number, json.loads(line)))
        except (ValueError, RecursionError) as error:  # not UTF-8 is a ValueError, too
            problems.append(f"{number}: not JSON: {error}")
    try:
        found = _all(values)
    except CatalogError as error:
        problems += error.problems
    if problems:
        raise CatalogError([f"{source}:{problem}" for problem in problems])
    return found


def _all(values: Iterable[tuple[int, Any]]) -> list[Chosen]:
    problems: list[str] = []
    found: list[Chosen] = []
    lines: dict[tuple[str, int], int] = {}
    for number, value in values:
        try:
            one = checked(value)
        except ValueError as error:
            problems.append(f"{number}: {error}")
            continue
        if (earlier := lines.setdefault((one.text, one.id), number)) != number:
            problems.append(f"{number}: text {shown(one.text)} with id {one.id} stands in line {earlier} already")
        found.append(one)
    if len(found) > MAX_LINES:
        problems.append(f"{MAX_LINES + 1}: there are {len(found)} suggestions: at most {MAX_LINES} are taken")
    if problems:
        raise CatalogError(problems)
    return found


def content(found: Sequence[Chosen]) -> bytes:
    """The content of a file with these lines."""
    return "".join(json.dumps(one.as_dict(), ensure_ascii=False) + "\n" for one in found).encode()
