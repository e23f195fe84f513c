"""History of an index: its generations listed, compared, published again and removed."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from malgil_core.index import reader
from malgil_core.index.generation import GenerationError
from malgil_core.index.writer import locked, next_number, point_at, seal, write_manifest

Line = dict[str, Any]  # a service or null topic as a catalog has it


@dataclass(frozen=True)
class Entry:
    """A generation in the list of an index's generations.

    Attributes:
        number: of the generation.
        serves: whether CURRENT names it.
        manifest: its manifest, None if it cannot be read.
        problem: why it must not serve, or None.
    """

    number: int
    serves: bool
    manifest: dict[str, Any] | None
    problem: str | None


@dataclass(frozen=True)
class Change:
    """A service or null topic that differs between two generations; `what` is added, removed or changed."""

    line: Line
    what: str
    fields: dict[str, tuple[Any, Any]]


class HistoryError(ValueError):
    """A request to the history that cannot be met; the text says why."""


def numbers(index: Path) -> list[int]:
    """The numbers of the generations, oldest first."""
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
        except GenerationError as error:
            problem = str(error)
        found.append(Entry(number, number == current, manifest, problem))
    return found


def last_published(index: Path) -> Entry | None:
    """The newest sound generation that is not a rollback; None if there is none."""
    published = [entry for entry in entries(index) if entry.manifest and "rolled_back_to" not in entry.manifest]
    return published[-1] if published else None


def resolve(index: Path, number: int | None) -> int:
    """The number given, checked, or that of the generation that serves.

    Raises:
        HistoryError: there is no such generation.
    """
    if number is None:
        number = reader.current(index)
        if number is None:
            raise HistoryError(f"{index}: nothing is published yet")
    if number not in numbers(index):
        known = ", ".join(map(str, numbers(index))) or "none"
        raise HistoryError(f"{index} has no generation {number}: there are {known}")
    return number


def manifest(index: Path, number: int) -> dict[str, Any]:
    """The manifest of a generation of any format: `show` brings back what older versions published.

    Raises:
        GenerationError: it is damaged.
    """
    return reader.read_manifest(reader.folder_of(index, number), tuple(reader.FILES))


def catalog(index: Path, number: int) -> list[Line]:
    """The catalog of a generation, services first, its checksums verified.

    Raises:
        GenerationError: it is damaged.
    """
    folder = reader.folder_of(index, number)
    files = manifest(index, number)["files"]
    names = [name for name in ("services.jsonl", "null_topics.jsonl") if name in files]
    return [line for name in names for line in reader.lines_of(folder, name)]


def diff(before: Sequence[Line], after: Sequence[Line]) -> list[Change]:
    """The changes between two catalogs, by service id, then by name of null topic."""
    old, new = ({key_of(line): line for line in lines} for lines in (before, after))
    changes = [Change(old[key], "removed", {}) for key in old if key not in new]
    changes += [Change(new[key], "added", {}) for key in new if key not in old]
    for key in old.keys() & new.keys():
        fields = {name: (old[key][name], new[key][name]) for name in new[key] if old[key].get(name) != new[key][name]}
        if fields:
            changes.append(Change(new[key], "changed", fields))
    return sorted(changes, key=lambda change: key_of(change.line))


def diff_settings(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """The weights, thresholds and limits that differ between two manifests: name → old and new value.

    Limits of null phrases are compared where both have some: those of the first null topics are no change.
    """
    old, new = _settings(before), _settings(after)
    if not ("null" in before and "null" in after):
        old, new = ({k: v for k, v in one.items() if not k.startswith("null ")} for one in (old, new))
    return {name: (old.get(name), new.get(name)) for name in {**old, **new} if old.get(name) != new.get(name)}


def _settings(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a manifest that decide on scores and hits, by name."""
    weights, thresholds = asdict(reader.weights_of(manifest)), manifest.get("thresholds", {})
    null = manifest.get("null", {})
    return {
        **{f"weight {name}": value for name, value in weights.items()},
        "default threshold": manifest.get("default_threshold"),
        **{f"threshold of service {id}": value for id, value in thresholds.items()},
        **{f"null {name}": null.get(name) for name in ("margin", "floor")},
    }


def key_of(line: Line) -> tuple[bool, int, str]:
    """What identifies a line; services come first."""
    is_null = "null" in line
    return is_null, -1 if is_null else int(line["id"]), line["name"] if is_null else ""


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
        GenerationError: it is damaged.
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
            raise HistoryError(f"generation {number} was made by another encoder: publish its catalog again (`show`)")
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
        The numbers removed.
    """
    removed = []
    with locked(index):
        current = reader.current(index)
        for number in numbers(index)[:-keep]:
            folder = reader.folder_of(index, number)
            with _exclusive_lock(folder) as unread:
                if number != current and unread:
                    # Renamed first: a reader finds it whole or not at all.
                    shutil.rmtree(folder.rename(folder.with_name(f".{number:06d}.old")))
                    removed.append(number)
        for remains in (index / "generations").glob(".*"):  # of publishers and collectors that were killed
            shutil.rmtree(remains, ignore_errors=True)
    return removed


@contextmanager
def _exclusive_lock(folder: Path) -> Iterator[bool]:
    """Try to lock a generation's folder; False while it is read: `reader.load` holds a shared lock on it."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield True
    except BlockingIOError:
        yield False
    finally:
        os.close(descriptor)
