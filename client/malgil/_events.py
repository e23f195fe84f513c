"""The events of a search, and their JSON: what the client reports, and all that it reports.

    search     a query was answered: how many hits, why none
    shown      the hits of the answer
    chosen     one of them was opened
    abandoned  the search was left without a choice

The server's side is malgil_core.events.types, which writes an event as it stands here: same fields, same order.
"""

from __future__ import annotations

import json
import re
import secrets
import time
from dataclasses import dataclass
from typing import Any, TypeAlias

Event: TypeAlias = dict[str, Any]

# Bounds of the server.
MAX_BYTES = 16 * 1024
MAX_HITS = 100
MAX_SURFACE = 64

_SEARCH_ID = re.compile(r"[0-9a-f]{32}")
_VARIANT = re.compile(r"[A-Za-z0-9_.:-]{0,64}")


@dataclass(frozen=True, slots=True)
class ShownHit:
    """What events say of a hit."""

    id: int
    score: float
    team: str | None


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer to one search: what its events have in common."""

    search_id: str
    generation: int
    variant: str
    surface: str
    person: str
    """The hash of the person, or ""."""
    k: int
    """Which search of its search id this is, from 1."""
    hits: tuple[ShownHit, ...]

    def searched(self, query: str | None, refused_by: str) -> Event:
        """The event of the search itself; `query` is None where queries are not logged."""
        event = self._event("search") | {"count": len(self.hits), "k": self.k, "refused_by": refused_by}
        return event | {"query": query} if query is not None else event

    def shown(self) -> Event:
        """The event of the hits that were shown."""
        hits = [_placed(rank, hit) for rank, hit in enumerate(self.hits[:MAX_HITS], 1)]
        return self._event("shown") | {"k": self.k, "hits": hits}

    def chosen(self, id: int) -> Event:
        """The event of a choice. Raises ValueError where no hit has the id."""
        for rank, hit in enumerate(self.hits, 1):
            if hit.id == id:
                return self._event("chosen") | {"k": self.k} | _placed(rank, hit)
        raise ValueError(f"hit: {id} is the id of no hit of this result")

    def abandoned(self) -> Event:
        """The event of leaving without a choice."""
        return self._event("abandoned") | {"k": self.k}

    def _event(self, type: str) -> Event:
        return {
            "type": type,
            "search_id": self.search_id,
            "at_ms": now_ms(),
            "generation": self.generation,
            "variant": self.variant,
            "surface": self.surface,
            "person": self.person,
        }


def _placed(rank: int, hit: ShownHit) -> Event:
    placed: Event = {"id": hit.id, "rank": rank, "score": hit.score}
    return placed | {"team": hit.team} if hit.team else placed


def as_json(event: Event) -> bytes:
    """One line of JSON; without the query where that would make it longer than the server takes."""
    written = _written(event)
    if len(written) > MAX_BYTES:
        written = _written({name: value for name, value in event.items() if name != "query"})
    return written


def _written(event: Event) -> bytes:
    return json.dumps(event, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def new_search_id() -> str:
    """A new id for one search session: 32 random hex digits. Pass it to each search of the session, key by key."""
    return secrets.token_hex(16)


def check_search_id(search_id: str | None) -> str:
    """The given id, or a new one for None; TypeError or ValueError for anything else."""
    if search_id is None:
        return new_search_id()
    if not isinstance(search_id, str):
        raise TypeError(f"search_id must be str, not {type(search_id).__name__}")
    if not _SEARCH_ID.fullmatch(search_id):
        raise ValueError(f"search_id: {search_id[:64]!r} is not of 32 digits 0-9a-f; take malgil.new_search_id()")
    return search_id


def check_variant(variant: str) -> str:
    """The given name of a variant; TypeError or ValueError where events cannot carry it."""
    if not isinstance(variant, str):
        raise TypeError(f"variant must be str, not {type(variant).__name__}")
    if not _VARIANT.fullmatch(variant):
        raise ValueError(f"variant: {variant[:99]!r} is not of up to 64 characters of A-Z a-z 0-9 _ . : -")
    return variant


def now_ms() -> int:
    """This machine's clock, in milliseconds since 1970, UTC."""
    return time.time_ns() // 1_000_000
