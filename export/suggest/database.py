"""Accepting proposals into a catalog in a database."""

from __future__ import annotations

import getpass
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from malgil_core.catalog import reading

from export.errors import ExportError
from export.suggest import file
from export.suggest.file import Accepted, Kept, ProposalError

if TYPE_CHECKING:
    from store.store import Store

NOTE = "제안"  # of a save, in the history that the console shows
TRIES = 5  # of a service that others save at the same time


def accept(url: str, kept: Sequence[Kept], source: Path, by: str) -> Accepted:
    """Add proposals to a catalog in a database; each service that gets some is saved as a new version.

    What others save meanwhile stays. Nothing is saved if one proposal cannot be added.

    Args:
        url: of the database, which must be there.
        kept: as `file.read` gives them.
        source: where they are from, for messages.
        by: who accepts, for the history.

    Raises:
        ProposalError: a service is not in the catalog, or went meanwhile.
        CatalogError: the catalog would not be valid with the phrases.
        ExportError: the database cannot be used.
    """
    from store.errors import StoreError
    from store.reading import Reader
    from store.store import Store

    try:
        with Reader.open(url) as reader:  # which makes no database where there is none
            name, content = str(reader), reader.dump()
        catalog = reading.parse_catalog(content, name)
        added, notes = file.additions(catalog, kept, source, name)
        reading.parse_catalog(file.with_phrases(content, added), name)
        ids = {one.service_id: one.id for one in catalog.services}
        if added:
            with Store.open(url) as store:
                for service_id, phrases in added.items():
                    _save(store, ids[service_id], phrases, by)
    except StoreError as error:
        raise ExportError(str(error)) from None
    return Accepted(sum(map(len, added.values())), len(added), notes)


def _save(store: Store, id: int, phrases: Sequence[str], by: str) -> None:
    """Add phrases to a service, in the version that it has by then."""
    from store.errors import ConflictError

    for _ in range(TRIES):
        stored = store.service(id)
        new = [phrase for phrase in phrases if phrase not in stored.value.texts]
        service = replace(stored.value, phrases=(*stored.value.phrases, *new))
        try:
            store.save_service(service, by=by, expected=stored.version, note=NOTE)
            return
        except ConflictError:
            continue
    raise ProposalError(f"service {id} is being saved by others all the time: accept the rest again")


def user() -> str:
    """The name of this machine's user."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user without a name
        return "local"
