"""Reading of the log of events: every line of every segment that is whole, whoever wrote it, and still writes it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import zstandard

from malgil_core.events.segment import OPEN, SUFFIX, write_sealed
from malgil_core.events.types import MAX_EVENT_BYTES, AnyEvent, parse_event
from malgil_core.limits import ABANDONED_SECONDS

_CHUNK = 2**20


@dataclass
class Damage:
    """What could not be read, counted while a log is read.

    Attributes:
        segments: that end in the middle of a line, or go on with what is no zstd: of a killed writer, a bad disk.
        lines: that are no events.
    """

    segments: int = 0
    lines: int = 0


def segments(folder: Path) -> list[Path]:
    """The segments of a folder, oldest name first, those that are still written to among them.

    Where a segment is there both sealed and open, which a crash while sealing leaves, only the sealed one counts.
    """
    found: dict[str, Path] = {}
    for path in folder.glob(f"*{SUFFIX}*"):
        name = path.name.removesuffix(OPEN)
        if name.endswith(SUFFIX) and not name.startswith(".") and (name not in found or path.name == name):
            found[name] = path
    return [found[name] for name in sorted(found)]


def read(folder: Path, damage: Damage | None = None) -> Iterator[AnyEvent]:
    """The events of a folder, segment by segment. Lines that are no events are left out, and counted in `damage`."""
    damage = damage or Damage()
    for line in lines(folder, damage):
        try:
            event = parse_event(line)
        except ValueError:
            damage.lines += 1
        else:
            yield event


def lines(folder: Path, damage: Damage | None = None) -> Iterator[bytes]:
    """The lines of a folder, segment by segment, without their line breaks; tails that are cut are left out."""
    for path in segments(folder):
        yield from lines_of(path, damage)


def lines_of(path: Path, damage: Damage | None = None) -> Iterator[bytes]:
    """The lines of one segment, also where it has been sealed, or removed, since it was found."""
    damage = damage or Damage()
    try:
        file = path.open("rb")
    except FileNotFoundError:
        try:
            file = path.with_name(path.name.removesuffix(OPEN)).open("rb")
        except FileNotFoundError:
            return
    rest = b""
    with file, zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True) as frame:
        while True:
            try:
                chunk = frame.read(_CHUNK)
            except zstandard.ZstdError:
                damage.segments += 1
                return
            if not chunk:
                break
            *whole, rest = (rest + chunk).split(b"\n")
            yield from whole
            if len(rest) > MAX_EVENT_BYTES:  # no writer's: do not gather more of it
                break
    damage.segments += bool(rest)


def seal(folder: Path, older_than: float = ABANDONED_SECONDS) -> list[Path]:
    """Seal the segments that nobody writes any more: of a server that was killed. Returns them.

    Args:
        folder: of the log.
        older_than: seconds since its last change after which nobody writes a segment.

    Raises:
        OSError: one cannot be written; it is left as it was.
    """
    sealed = []
    for path in sorted(folder.glob(f"*{SUFFIX}{OPEN}")):
        if time.time() - path.stat().st_mtime < older_than:
            continue
        whole = path.with_name(path.name.removesuffix(OPEN))
        if not whole.exists():
            write_sealed(whole, lines_of(path))
        path.unlink()
        sealed.append(whole)
    return sealed
