"""The catalog as the pages read it: by id, by parent, what has changed since the last publish; kept by revision."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from malgil_core.catalog.service import Service

from console.record import served_revision
from store.store import Store
from store.tree import SEPARATOR
from store.types import Stored


@dataclass(frozen=True)
class View:
    """The services at one revision of the store.

    Attributes:
        revision: the store's.
        services: in the catalog's order.
        by_id: by catalog id.
        children: ids below an id, or below None, in the catalog's order.
        surfaces: every surface, by how many services have it.
        published: the revision that was published last, or rolled back to; None if that is not known.
        changed: keys of services that were changed after it; all of them if it is not known.
    """

    revision: int
    services: list[Stored[Service]]
    by_id: dict[int, Stored[Service]]
    children: dict[int | None, list[int]]
    surfaces: list[str]
    published: int | None
    changed: frozenset[int]
    texts: list[str] = field(repr=False, default_factory=list)  # of each service, for the search by substring

    def ancestors(self, id: int) -> Iterator[Stored[Service]]:
        """The services above one, from the nearest; a cycle ends."""
        seen = {id}
        at = self.by_id[id].value.parent_id
        while at is not None and at in self.by_id and at not in seen:
            seen.add(at)
            yield self.by_id[at]
            at = self.by_id[at].value.parent_id

    def path(self, name: str, parent_id: int | None) -> str:
        """The path of a service with this name below a parent, derived from the tree."""
        above: list[str] = []
        if parent_id in self.by_id:
            parent = self.by_id[parent_id]
            above = [parent.value.name, *(service.value.name for service in self.ancestors(parent.value.id))]
        return SEPARATOR.join([*reversed(above), name])

    def below(self, id: int) -> set[int]:
        """The ids of a service and of all below it."""
        found, waiting = {id}, [id]
        while waiting:
            new = [child for child in self.children.get(waiting.pop(), ()) if child not in found]
            found.update(new)
            waiting += new
        return found

    def containing(self, query: str) -> list[Stored[Service]]:
        """The services with a text in name, path, service id or phrases, case aside; exact ids and names first."""
        wanted = " ".join(query.casefold().split())
        if not wanted:
            return list(self.services)
        found = [stored for stored, text in zip(self.services, self.texts, strict=True) if wanted in text]
        return sorted(found, key=lambda stored: _rank(stored.value, wanted))


def _rank(service: Service, wanted: str) -> int:
    names = (service.name.casefold(), service.service_id.casefold(), str(service.id))
    return 0 if wanted in names else 1 if any(wanted in name for name in names) else 2


class Views:
    """The view of the store's revision, built once for each. Safe in threads; blocks."""

    def __init__(self, store: Store) -> None:
        self._store, self._lock = store, threading.Lock()
        self._view: View | None = None

    def current(self) -> View:
        """The view of what is stored now."""
        revision, published = self._store.revision(), served_revision(self._store)
        with self._lock:
            if self._view is None or (self._view.revision, self._view.published) != (revision, published):
                self._view = self._read(revision, published)
            return self._view

    def _read(self, revision: int, published: int | None) -> View:
        services = self._store.services()
        children: dict[int | None, list[int]] = {}
        by_id = {stored.value.id: stored for stored in services}
        for stored in services:
            parent = stored.value.parent_id
            children.setdefault(parent if parent in by_id else None, []).append(stored.value.id)
        surfaces = Counter(surface for stored in services for surface in stored.value.surfaces)
        keys = {stored.key for stored in services}
        changed = keys if published is None else keys & self._store.changed_after(published)
        texts = [_text(stored.value) for stored in services]
        order = [name for name, _ in surfaces.most_common()]
        return View(revision, services, by_id, children, order, published, frozenset(changed), texts)


def _text(service: Service) -> str:
    texts = [service.name, service.path, service.service_id, str(service.id), *service.phrases]
    return "\n".join(" ".join(text.casefold().split()) for text in texts)
