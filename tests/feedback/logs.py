"""Logs written by hand: people who search, and what they choose."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from malgil_core.events.segment import new_name, write_sealed
from malgil_core.events.types import parse_event

NOON_MS = 1_764_417_600_000  # 2025-11-29 12:00 UTC, a Saturday
HITS = (101, 102, 103, 104)


def digits(text: str) -> str:
    """32 hexadecimal digits, the same for the same text."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]


class Log:
    """Events, in the order in which they happen; each is checked as a server does."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self._sessions = 0

    def event(self, type: str, search_id: str, at_ms: int, **fields: Any) -> None:
        """Add an event."""
        known = {"type": type, "search_id": search_id, "at_ms": at_ms, "generation": 1, "variant": "", "surface": ""}
        line = json.dumps({**known, "person": "", **fields}, ensure_ascii=False).encode()
        parse_event(line)
        self.lines.append(line)

    def session(
        self,
        query: str | Sequence[str],
        chosen: int | Sequence[int] | None = None,
        person: str = "",
        hits: Sequence[int] = HITS,
        refused_by: str = "",
        at_ms: int = NOON_MS,
        hashed: str = "",
        **fields: Any,
    ) -> str:
        """Add a search of one or several keystrokes; of the hits of the last one some are chosen. Its search_id."""
        self._sessions += 1
        search_id = digits(f"session {self._sessions}")
        who = {"person": digits(person) if person else hashed, **fields}
        typed = [query] if isinstance(query, str) else list(query)
        shown = (
            [] if refused_by else [{"id": id, "rank": i, "score": 1 - i / 100} for i, id in enumerate(hits, start=1)]
        )
        for k, text in enumerate(typed, start=1):
            at = at_ms + 300 * k
            counts = {"count": len(shown), "refused_by": refused_by, "k": k}
            text_of = {"query": text} if text else {}
            self.event("search", search_id, at, **who, **counts, **text_of)
            if shown:
                self.event("shown", search_id, at, **who, k=k, hits=shown)
        picks = [] if chosen is None else [chosen] if isinstance(chosen, int) else list(chosen)
        at = at_ms + 300 * len(typed) + 1000
        for id in picks:
            hit = next(one for one in shown if one["id"] == id)
            self.event("chosen", search_id, at, **who, k=len(typed), **hit)
        if not picks:
            self.event("abandoned", search_id, at, **who, k=len(typed))
        return search_id

    def write(self, folder: Path, seconds: float = NOON_MS / 1000) -> Path:
        """Write a sealed segment with all events so far, and begin anew; its path."""
        folder.mkdir(exist_ok=True)
        path = folder / new_name(seconds)
        write_sealed(path, self.lines)
        self.lines = []
        return path
