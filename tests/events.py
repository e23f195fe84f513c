"""Events for tests."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from malgil_core.events.reading import read
from malgil_core.events.types import Abandoned, AnyEvent, Chosen, Hit, Search, Shown

AT = 1_764_421_500_000  # 2025-11-29T13:05:00Z
_COMMON = {"search_id": "0" * 32, "at_ms": AT, "generation": 3, "surface": "home", "k": 1}


def search(**given: Any) -> Search:
    """A search with three hits, but for what is given."""
    return Search(**{**_COMMON, "count": 3, **given})


def shown(**given: Any) -> Shown:
    """Three hits that were shown, but for what is given."""
    hits = tuple(Hit(id=100 + rank, rank=rank, score=1 - rank / 10) for rank in (1, 2, 3))
    return Shown(**{**_COMMON, "hits": hits, **given})


def chosen(**given: Any) -> Chosen:
    """A choice of the second hit, but for what is given."""
    return Chosen(**{**_COMMON, "id": 102, "rank": 2, "score": 0.8, **given})


def abandoned(**given: Any) -> Abandoned:
    """A search without a choice, but for what is given."""
    return Abandoned(**{**_COMMON, **given})


def stored(folder: Path, search_id: str, count: int, seconds: float = 20) -> list[AnyEvent]:
    """The events of a search id in a log, once there are so many, or the time is up."""
    deadline = time.monotonic() + seconds
    while True:
        found = [event for event in read(folder) if event.search_id == search_id]
        if len(found) >= count or time.monotonic() > deadline:
            return found
        time.sleep(0.1)
