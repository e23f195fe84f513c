"""The file of proposals: JSON Lines, one proposal a line, which a person edits and `suggest accept` reads.

    {"keep": false, "service_id": "transfer", "phrase": "돈 부치기", "verdict": "good", "own": …, "other": …}

A person sets `keep` to true, and may change `phrase`. The fields after it are there to decide by, and not read again.
"""

from __future__ import annotations

import json
import os
import stat
import tempfile
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from malgil_core.catalog import reading
from malgil_core.catalog.reading import Catalog
from malgil_core.text.validation import shown

from export.errors import ExportError
from export.suggest.parsing import tidy
from export.suggest.proposals import Proposal


class ProposalError(ExportError):
    """A line of proposals that cannot be used; the text names file, line and field."""


@dataclass(frozen=True)
class Kept:
    """A proposal that a person kept."""

    line: int
    service_id: str
    phrase: str


@dataclass(frozen=True)
class Accepted:
    """What was added to a catalog.

    Attributes:
        phrases: how many.
        services: to how many.
        notes: a sentence on each proposal that was not added, or that stands elsewhere, too.
    """

    phrases: int
    services: int
    notes: Sequence[str]


def lines(service_id: str, proposals: Iterable[Proposal]) -> str:
    """The lines of a service's proposals."""
    fields = ({"keep": False, "service_id": service_id, **one.as_dict()} for one in proposals)
    return "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in fields)


def read(path: Path) -> list[Kept]:
    """The proposals that a person kept.

    Raises:
        ProposalError: a line is no proposal.
        OSError: the file cannot be read.
    """
    kept = []
    for number, line in enumerate(path.read_bytes().removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        if line.strip():
            try:
                kept += _kept(number, json.loads(line))
            except (ValueError, RecursionError) as error:  # JSONDecodeError and UnicodeDecodeError among them
                raise ProposalError(f"{path}:{number}: {error}") from None
    return kept


def _kept(number: int, value: Any) -> list[Kept]:
    if not isinstance(value, dict) or not {"keep", "service_id", "phrase"} <= value.keys():
        raise ValueError('a proposal is {"keep": …, "service_id": …, "phrase": …, …}')
    keep, service_id, phrase = value["keep"], value["service_id"], value["phrase"]
    if not isinstance(keep, bool):
        raise ValueError(f"keep is {shown(keep)}: it must be true or false")
    if not isinstance(service_id, str):
        raise ValueError(f"service_id is {shown(service_id)}: it must be a text")
    if not isinstance(phrase, str) or not tidy(phrase):
        raise ValueError(f"phrase is {shown(phrase)}: it must be a text that is not blank")
    return [Kept(number, service_id, " ".join(unicodedata.normalize("NFC", phrase).split()))] if keep else []


def accept(path: Path, kept: Sequence[Kept], source: Path) -> Accepted:
    """Add proposals to a catalog's file, which is replaced as a whole; lines without a new phrase stay as they are.

    Args:
        path: the catalog.
        kept: as `read` gives them.
        source: where they are from, for messages.

    Raises:
        ProposalError: a service is not in the catalog, or somebody saved the catalog meanwhile.
        CatalogError: the catalog holds mistakes, before or with the phrases.
        OSError: the file cannot be read or written.
    """
    path = path.resolve()
    content = path.read_bytes()
    added, notes = additions(reading.parse_catalog(content, str(path)), kept, source, path.name)
    if added:
        changed = with_phrases(content, added)
        reading.parse_catalog(changed, str(path))
        _replace(path, content, changed)
    return Accepted(sum(map(len, added.values())), len(added), notes)


def additions(
    catalog: Catalog, kept: Sequence[Kept], source: Path, name: str
) -> tuple[dict[str, list[str]], list[str]]:
    """The new phrases by service_id, and a sentence on each that is not new, or stands elsewhere, too.

    Args:
        catalog: that they are added to.
        kept: as `read` gives them.
        source: where they are from, for messages.
        name: of the catalog, for messages.

    Raises:
        ProposalError: a service is not in the catalog.
    """
    owners = {one.service_id: one for one in catalog.services}
    there = {text: one.name for one in catalog.services for text in one.texts}
    added: dict[str, list[str]] = {}
    notes = []
    for one in kept:
        if one.service_id not in owners:
            raise ProposalError(f"{source}:{one.line}: {name} has no service {shown(one.service_id)}")
        phrases = added.setdefault(one.service_id, [])
        if one.phrase in (*owners[one.service_id].texts, *phrases):
            notes.append(f"{source}:{one.line}: {shown(one.phrase)} is there already")
            continue
        if one.phrase in there:
            notes.append(f"{source}:{one.line}: {shown(one.phrase)} is a phrase of {there[one.phrase]}, too")
        phrases.append(one.phrase)
    return {service_id: phrases for service_id, phrases in added.items() if phrases}, notes


def with_phrases(content: bytes, added: dict[str, list[str]]) -> bytes:
    """The content of a catalog's file with phrases by service_id; other lines stay as they are."""
    return b"\n".join(_line(line, added) for line in content.split(b"\n"))


def _line(line: bytes, added: dict[str, list[str]]) -> bytes:
    """A line of a catalog with the phrases that are added to its service; the same bytes if there are none."""
    text = line.removeprefix(b"\xef\xbb\xbf")
    value = json.loads(text) if text.strip() else {}
    new = added.get(value.get("service_id", ""))
    if not new:
        return line
    value["phrases"] = [*value["phrases"], *new]
    written = json.dumps(value, ensure_ascii=False).encode()
    return line[: len(line) - len(text)] + written + (b"\r" if line.endswith(b"\r") else b"")


def _replace(path: Path, before: bytes, after: bytes) -> None:
    """Replace a file's content, unless it is not what it was read as."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(after)
            stream.flush()
            os.fsync(stream.fileno())
        part.chmod(stat.S_IMODE(path.stat().st_mode))
        if path.read_bytes() != before:
            raise ProposalError(f"{path} was saved by somebody else meanwhile: nothing was added, accept again")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
