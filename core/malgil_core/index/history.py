"""The generations of an index: what there is, what changed, going back, and letting old ones go."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from malgil_core.index import reader
from malgil_core.index.writer import locked, next_number, point_at, seal, write_manifest

Line = dict[str, Any]  # a service as services.jsonl has it


@dataclass(frozen=True)
class Entry:
    """One generation of an index.

    Attributes:
        number: of the generation.
        serves: whether CURRENT names it.
        manifest: what it says of itself, None if it cannot be read.
        problem: why it must not serve, or None.
    """

    number: int
    serves: bool
    manifest: dict[str, Any] | None
    problem: str | None


@dataclass(frozen=True)
class Change:
    """What became of one service between two generations: added, removed, or the fields that differ."""

    service: Line
    what: str
    fields: dict[str, tuple[Any, Any]]


class HistoryError(ValueError):
    """What was asked of an index cannot be done; the text says why."""


def numbers(index: Path) -> list[int]:
    """The generations that there are, oldest first."""
    return sorted(int(path.name) for path in (index / "generations").glob("[0-9]*") if path.name.isdigit())


def entries(index: Path, thorough: bool = False) -> list[Entry]:
    """Every generation, oldest first; `thorough` loads each as a scorer would, else checksums alone are compared."""
    current = reader.current(index)
    found = []
    for number in numbers(index):
        folder, manifest, problem = reader.folder_of(index, number), None, None
        try:
            manifest = reader.read_manifest(folder)
            if thorough:
                reader.load(folder)
        except reader.GenerationError as error:
            problem = str(error)
        found.append(Entry(number, number == current, manifest, problem))
    return found


def resolve(index: Path, number: int | None) -> int:
    """This generation, or the one that serves.

    Raises:
        HistoryError: there is none, or not this one.
    """
    if number is None:
        number = reader.current(index)
        if number is None:
            raise HistoryError(f"{index}: nothing is published yet")
    if number not in numbers(index):
        known = ", ".join(map(str, numbers(index))) or "none"
        raise HistoryError(f"{index} has no generation {number}: there are {known}")
    return number


def services(index: Path, number: int) -> list[Line]:
    """The catalogue of a generation, verified.

    Raises:
        generation.GenerationError: it is damaged.
    """
    folder = reader.folder_of(index, number)
    reader.read_manifest(folder, tuple(reader.FILES))  # `show` brings back what older versions published
    return [json.loads(line) for line in (folder / "services.jsonl").read_bytes().splitlines()]


def diff(before: Sequence[Line], after: Sequence[Line]) -> list[Change]:
    """What changed between two catalogues, by service id."""
    old, new = ({line["id"]: line for line in lines} for lines in (before, after))
    changes = [Change(old[id], "removed", {}) for id in old if id not in new]
    changes += [Change(new[id], "added", {}) for id in new if id not in old]
    for id in old.keys() & new.keys():
        fields = {name: (old[id][name], new[id][name]) for name in new[id] if old[id].get(name) != new[id][name]}
        if fields:
            changes.append(Change(new[id], "changed", fields))
    return sorted(changes, key=lambda change: int(change.service["id"]))


def rollback(index: Path, number: int | None, fingerprint: str) -> tuple[int, int]:
    """Publish an older generation once more, under a new number: numbers tell when something served.

    Args:
        index: the index folder.
        number: which one; None is the newest sound one before the one that serves.
        fingerprint: of the encoder that serves; scorers refuse generations of another.

    Returns:
        The number gone back to, and the new one.

    Raises:
        HistoryError: there is no such generation, or another encoder made it.
        generation.GenerationError: it is damaged.
    """
    with locked(index):
        current = resolve(index, None)
        if number is None:
            earlier = [entry for entry in entries(index) if entry.number < current and entry.problem is None]
            if not earlier:
                raise HistoryError(f"{index}: there is no sound generation before {current}")
            number = earlier[-1].number
        source = reader.folder_of(index, resolve(index, number))
        manifest = reader.read_manifest(source)
        reader.load(source)
        if manifest["encoder"]["fingerprint"] != fingerprint:
            raise HistoryError(f"generation {number} was made by another encoder: publish its catalogue again (`show`)")
        new = next_number(index)
        temporary = index / "generations" / f".{new:06d}.tmp"
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        for name in manifest["files"]:
            os.link(source / name, temporary / name)  # immutable: both may have them
        write_manifest(temporary, {**manifest, "generation": new, "rolled_back_to": number})
        seal(index, temporary, new)
        point_at(index, new)
    return number, new


def collect(index: Path, keep: int) -> list[int]:
    """Remove all but the newest `keep` generations; never the one that serves, nor one that is being read.

    Returns:
        What was removed.
    """
    removed = []
    with locked(index):
        current = reader.current(index)
        for number in numbers(index)[:-keep]:
            folder = reader.folder_of(index, number)
            with _alone(folder) as alone:
                if number != current and alone:
                    # Renamed first: a reader finds it whole or not at all.
                    doomed = folder.rename(folder.with_name(f".{number:06d}.old"))
                    shutil.rmtree(doomed)
                    removed.append(number)
        for left in (index / "generations").glob(".*"):  # of publishers and collectors that were killed
            shutil.rmtree(left, ignore_errors=True)
    return removed


@contextmanager
def _alone(folder: Path) -> Iterator[bool]:
    """Whether nobody reads this generation: its readers hold a shared lock on the folder (generation.load)."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield True
    except BlockingIOError:
        yield False
    finally:
        os.close(descriptor)
