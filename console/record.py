"""What the history says of publishes and rollbacks: which revision of the store each of them made serve."""

from __future__ import annotations

import re

from store.store import Store

ACTIONS = ("publish", "rollback")
LOOKED_AT = 500  # entries, newest first


def note_of(written: str, revision: int | None) -> str:
    """The note of an entry: what its author wrote, and the store's revision where it is known."""
    return " · ".join(filter(None, [written, "" if revision is None else f"revision {revision}"]))


def revision_in(note: str) -> int | None:
    """The store's revision in such a note; None if it has none. What its author wrote does not count.

    >>> revision_in("as revision 7 was · revision 12")
    12
    """
    found = re.search(r"(?:^| · )revision (\d+)$", note)
    return int(found[1]) if found else None


def served_revision(store: Store) -> int | None:
    """The revision that the last publish or rollback made serve; None if there was none, or it is not known."""
    for change in store.history(kind="catalog", actions=ACTIONS, limit=1):
        return revision_in(change.note)
    return None


def revision_of(store: Store, generation: int) -> int | None:
    """The revision that a generation was made of; None if the history does not say."""
    for change in store.history(kind="catalog", actions=ACTIONS, limit=LOOKED_AT):
        if change.name.split()[:2] == ["generation", str(generation)]:
            return revision_in(change.note)
    return None
