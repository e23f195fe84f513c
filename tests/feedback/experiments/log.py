"""Events of experiments in a folder, as a server writes them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from malgil_core.events.segment import new_name, write_sealed
from malgil_core.events.types import Abandoned, Chosen, Event, Hit, Search, Shown

DAY_MS = 24 * 60 * 60 * 1000
NOW_MS = time.time_ns() // 1_000_000
IDS = (101, 102, 103)


@dataclass(frozen=True)
class Session:
    """One search session: `rank` of the choice (0: none), after so many keystrokes."""

    person: str
    variant: str
    rank: int
    days_ago: int = 1
    keystrokes: int = 1
    team: str = ""
    surface: str = ""


def write(folder: Path, sessions: Iterable[Session]) -> Path:
    """Write the events of sessions; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [event.as_json() for number, one in enumerate(sessions) for event in _events(number, one)]
    write_sealed(folder / new_name(time.time()), lines)
    return folder


def _events(number: int, one: Session) -> Iterator[Event]:
    common: dict[str, Any] = {
        "search_id": f"{number:032x}", "at_ms": NOW_MS - one.days_ago * DAY_MS, "generation": 1,
        "variant": one.variant, "surface": one.surface, "person": one.person,
    }  # fmt: skip
    hits = tuple(Hit(id=id, rank=rank, score=0.5, team=one.team) for rank, id in enumerate(IDS, start=1))
    for k in range(1, one.keystrokes + 1):
        yield Search(**common, count=len(hits), k=k)
        yield Shown(**common, hits=hits, k=k)
    if one.rank:
        yield Chosen(**common, k=one.keystrokes, id=IDS[one.rank - 1], rank=one.rank, score=0.5, team=one.team)
    else:
        yield Abandoned(**common, k=one.keystrokes)


def people(count: int, arm: str, chance: float, seed: int, days: int = 5) -> list[Session]:
    """Sessions of so many people of one arm, who choose the first hit with this chance, else the second or none."""
    draw = np.random.default_rng(seed)
    found = []
    for number in range(count):
        person = f"{seed:016x}{number:016x}"
        for _ in range(int(draw.integers(1, 6))):
            rank = 1 if draw.random() < chance else int(draw.choice([0, 2]))
            found.append(
                Session(person, f"trial:{arm}", rank, int(draw.integers(1, days + 1)), int(draw.integers(1, 5)))
            )
    return found
