"""A catalog file as entries and what stands between them, so that writing it again gives the same bytes."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from malgil_core.catalog.null_topic import NullTopic
from malgil_core.catalog.service import Service
from malgil_core.catalog.validation import validate

from store.types import Line

OPTIONAL: Line = {"parent_id": None, "memo": "", "surfaces": [], "threshold": None}  # fields that a line can leave out


@dataclass(frozen=True)
class Layout:
    """The parts of a catalog file.

    Attributes:
        head: a byte order mark, or nothing.
        lines: by its number, the blank lines before each line that is not blank, and its text.
        tail: what follows the last text.
    """

    head: bytes
    lines: Mapping[int, tuple[bytes, bytes]]
    tail: bytes


def split(content: bytes) -> Layout:
    r"""The parts of a file.

    >>> split(b"\n{1}\n{2}\n")
    Layout(head=b'', lines={2: (b'\n', b'{1}'), 3: (b'', b'{2}')}, tail=b'\n')
    """
    head = codecs.BOM_UTF8 if content.startswith(codecs.BOM_UTF8) else b""
    lines: dict[int, tuple[bytes, bytes]] = {}
    blank: list[bytes] = []
    for number, text in enumerate(content.removeprefix(head).split(b"\n"), start=1):
        if text.strip():
            lines[number] = b"".join(line + b"\n" for line in blank), text
            blank = []
        else:
            blank.append(text)
    return Layout(head, lines, b"".join(b"\n" + line for line in blank))


def join(head: bytes, lines: Iterable[tuple[bytes, bytes]], tail: bytes) -> bytes:
    """The file of these parts; an empty one if it has no lines."""
    texts = b"\n".join(lead + text for lead, text in lines)
    return head + texts + tail if texts else b""


def value_of(line: Line) -> Service | NullTopic:
    """The entry with these fields, which were valid when they were stored."""
    if "null" in line:
        return NullTopic(line["name"], tuple(line["phrases"]))
    return Service(**{**line, "phrases": tuple(line["phrases"]), "surfaces": tuple(line["surfaces"])})


def render(line: Line, source: bytes | None) -> bytes:
    """A line's text: the fields in the order of the source, those that it leaves out only where they say something."""
    fields: dict[str, Any] = line
    if source is not None:
        written = json.loads(source)
        said = [name for name in line if name not in written and line[name] != OPTIONAL.get(name)]
        fields = {name: line[name] for name in (*written, *said)}
    return json.dumps(fields, ensure_ascii=False).encode("utf-8") + (b"\r" if source and source[-1:] == b"\r" else b"")


def of_source(source: bytes) -> Service | NullTopic:
    """The entry of a line as it was imported."""
    return validate(json.loads(source))
