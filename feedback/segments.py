"""Segments of a log that are removed or written anew: how long events are kept, and whose."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

from malgil._keyed import person_hash
from malgil_core.events import reading
from malgil_core.events.segment import OPEN, write_sealed

from feedback.errors import FeedbackError
from feedback.files import holding

LOCK = ".feedback.lock"
DAY_SECONDS = 86_400
_BEGAN = "%Y-%m-%dT%H-%M-%SZ"
_BEGAN_LENGTH = 20


@dataclass
class Forgotten:
    """What was removed of people.

    Attributes:
        events: that are gone.
        segments: that were written anew.
        left: of their events, in segments that a server still writes.
    """

    events: int = 0
    segments: list[Path] = field(default_factory=list)
    left: int = 0


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Exclude other commands that change segments of the folder; servers go on writing theirs.

    Raises:
        FeedbackError: the folder is not there, or another command is at work.
    """
    if not folder.is_dir():
        raise FeedbackError(f"{folder} is not there: it must be the folder of the event segments")
    with holding(folder / LOCK, f"{folder}: another command changes its segments: wait for its end"):
        yield


def is_open(path: Path) -> bool:
    """Whether a segment was not sealed yet."""
    return path.name.endswith(OPEN)


def began(path: Path) -> float:
    """When a segment was begun, in seconds since 1970: by its name, or where that lies ahead, by its last change."""
    changed = path.stat().st_mtime
    try:
        named = datetime.strptime(path.name[:_BEGAN_LENGTH], _BEGAN).replace(tzinfo=timezone.utc).timestamp()
    except ValueError:
        return changed
    return named if named <= time.time() else changed


def older(folder: Path, days: int) -> tuple[list[Path], int]:
    """The sealed segments that were begun so many days ago, and how many open ones were."""
    limit = time.time() - days * DAY_SECONDS
    old = [path for path in reading.segments(folder) if began(path) < limit]
    return [path for path in old if not is_open(path)], sum(map(is_open, old))


def hashes(key: bytes, ids: Iterable[str], period_days: int) -> set[str]:
    """What stands for people in events, in each period from 1970 to a year from now: clients' clocks go wrong.

    Args:
        key: `person_key` of the apps.
        ids: as the apps name people.
        period_days: `rotation_days` of the apps.
    """
    length = period_days * DAY_SECONDS * 1000
    starts = range(0, int(time.time() + 366 * DAY_SECONDS) * 1000, length)
    return {person_hash(key, id, at_ms, period_days) for id in ids for at_ms in starts}


def forget(folder: Path, people: set[str]) -> Forgotten:
    """Remove the events of people, and all others of the same searches.

    Args:
        folder: of the log; `locked` is held.
        people: as events have them.
    """
    searches = {search_id for path in reading.segments(folder) for search_id in _searches(path, people)}
    done = Forgotten()
    for path in reading.segments(folder):
        lines = list(reading.lines_of(path))
        kept = [line for line in lines if _field(line, "search_id") not in searches]
        gone = len(lines) - len(kept)
        if not gone:
            continue
        if is_open(path):
            done.left += gone
            continue
        if kept:
            write_sealed(path, kept)
        else:
            path.unlink()
        done.events += gone
        done.segments.append(path)
    return done


def _searches(path: Path, people: set[str]) -> Iterator[str]:
    for line in reading.lines_of(path):
        if _field(line, "person") in people:
            yield _field(line, "search_id")


def _field(line: bytes, name: str) -> str:
    """A text of an event; empty if the line is none, or has none."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return ""
    found = value.get(name, "") if isinstance(value, dict) else ""
    return found if isinstance(found, str) else ""
