"""What was published: the catalogs of the index's generations, the last ones kept in memory."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any

from malgil_core.index import history, reader
from malgil_core.index.generation import GenerationError

Line = dict[str, Any]
KEPT = 2  # generations


@dataclass(frozen=True)
class Generation:
    """A published generation.

    Attributes:
        number: of the generation.
        manifest: counts, encoder, thresholds and limits.
        lines: of services and null topics.
    """

    number: int
    manifest: dict[str, Any]
    lines: list[Line]

    @cached_property
    def services(self) -> dict[int, Line]:
        """The services by id."""
        return {line["id"]: line for line in self.lines if "null" not in line}

    def threshold(self, id: int) -> float | None:
        """The lowest score that a service is shown with; None for none, and for a service that is not there."""
        line = self.services.get(id)
        if line is None:
            return None
        own = self.manifest.get("thresholds", {}).get(str(id), line["threshold"])
        chosen = self.manifest.get("default_threshold") if own is None else own
        return None if chosen is None else float(chosen)


@dataclass(frozen=True)
class Entry:
    """A generation in the list of an index's generations.

    Attributes:
        number: of the generation.
        serves: whether the index says that it serves.
        manifest: empty if it cannot be read.
    """

    number: int
    serves: bool
    manifest: dict[str, Any]

    @property
    def created(self) -> datetime | None:
        """When it was published."""
        try:
            return datetime.fromisoformat(self.manifest["created"])
        except (KeyError, TypeError, ValueError):
            return None


class Published:
    """The generations of an index, read when they are asked for.

    Checksums are not compared, since nothing is served from this: a rollback does, and each scorer.
    """

    def __init__(self, index: Path) -> None:
        self._index = index
        self._kept: dict[int, Generation] = {}
        self._lock = Lock()

    def number(self) -> int | None:
        """The number of the generation that the index says serves; None before the first publish."""
        try:
            return reader.current(self._index)
        except (GenerationError, OSError):
            return None

    def current(self) -> Generation | None:
        """The generation that the index says serves; None if nothing is published, or it cannot be read."""
        number = self.number()
        return None if number is None else self.generation(number)

    def entries(self) -> list[Entry]:
        """The generations, newest first."""
        current = self.number()
        return [Entry(number, number == current, self._manifest(number)) for number in history.numbers(self._index)][
            ::-1
        ]

    def generation(self, number: int) -> Generation | None:
        """A generation; None if it is not there (a server elsewhere may have another index), or damaged."""
        with self._lock:
            if number not in self._kept:
                folder, manifest = reader.folder_of(self._index, number), self._manifest(number)
                if not manifest:
                    return None
                try:
                    names = [name for name in ("services.jsonl", "null_topics.jsonl") if name in manifest["files"]]
                    lines = [line for name in names for line in reader.lines_of(folder, name)]
                except (OSError, ValueError, KeyError, TypeError):
                    return None
                self._kept[number] = Generation(number, manifest, lines)
                while len(self._kept) > KEPT:
                    del self._kept[next(iter(self._kept))]
            return self._kept[number]

    def _manifest(self, number: int) -> dict[str, Any]:
        try:
            path = reader.folder_of(self._index, number) / "manifest.json"
            return dict(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return {}
