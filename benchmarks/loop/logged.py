"""What invented people do, as the events that a server would write: queries logged, in segments of a folder."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from malgil_core.events.segment import new_name, write_sealed
from malgil_core.events.types import Chosen, Event, Hit, Search
from malgil_core.events.types import Shown as ShownEvent

from benchmarks.loop.clicks import choose, luck
from benchmarks.loop.people import SETS, Person
from benchmarks.loop.world import Shown, World
from export.catalog.labelled import Labelled

CLEAR = 0.7  # share of searches whose query says which service is meant; the others are ambiguous
DAY_MS = 24 * 60 * 60 * 1000


def write(
    folder: Path, world: World, people: Sequence[Person], clear: Sequence[Labelled], searches: int, seed: int
) -> int:
    """Write the events of so many searches of each person; returns how many events there are.

    Args:
        folder: of the segments.
        world: the search that they use.
        people: who search.
        clear: queries that say which service is meant, which everybody may type.
        searches: of each person.
        seed: of what they type and choose.
    """
    world.know([*SETS["typed"], *(one.query for one in clear)])
    lines = [event.as_json() for person in people for event in _of_person(world, person, clear, searches, seed)]
    folder.mkdir(parents=True, exist_ok=True)
    write_sealed(folder / new_name(time.time()), lines)
    return len(lines)


def _of_person(world: World, person: Person, clear: Sequence[Labelled], searches: int, seed: int) -> Iterator[Event]:
    draw = np.random.default_rng((seed, 1, person.number))
    asked = [_query(person, clear, draw) for _ in range(searches)]
    lists = world.rank([query for query, _ in asked])
    for number, ((query, intent), shown) in enumerate(zip(asked, lists, strict=True)):
        yield from _of_search(person, number, query, shown, choose(shown.ids, intent, luck(draw, 1)[0]))


def _query(person: Person, clear: Sequence[Labelled], draw: np.random.Generator) -> tuple[str, int]:
    """What is typed, and the service that is meant."""
    if draw.random() < CLEAR:
        one = clear[int(draw.integers(len(clear)))]
        assert one.id is not None
        return one.query, one.id
    query = person.query(draw)
    return query, person.intent(query, draw)


def _of_search(person: Person, number: int, query: str, shown: Shown, place: int | None) -> Iterator[Event]:
    common: dict[str, Any] = {
        "search_id": f"{person.number:016x}{number:016x}",
        "at_ms": time.time_ns() // 1_000_000 - DAY_MS,
        "generation": 1,
        "person": f"{person.number:032x}",
    }
    yield Search(**common, query=query, count=len(shown.ids), k=1)
    hits = tuple(Hit(id=id, rank=rank, score=0.0) for rank, id in enumerate(shown.ids, start=1))
    yield ShownEvent(**common, k=1, hits=hits)
    if place is not None:
        yield Chosen(**common, k=1, id=shown.ids[place], rank=place + 1, score=0.0)
