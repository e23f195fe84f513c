"""Choosing the services that phrases are asked for."""

from __future__ import annotations

from collections.abc import Sequence

from malgil_core.catalog.service import Service
from malgil_core.text.validation import shown

from export.errors import ExportError


def chosen(services: Sequence[Service], names: Sequence[str], fewer_than: int | None) -> list[Service]:
    """The services named by id or service_id, then the open ones with fewer phrases than a number, each once.

    Raises:
        ExportError: no service has a name, or none has so few phrases.
    """
    by_name = {str(one.id): one for one in services} | {one.service_id: one for one in services}
    for name in names:
        if name not in by_name:
            raise ExportError(f"--service: no service has the id or service_id {shown(name)}")
    few = [one for one in services if one.open and fewer_than is not None and len(one.phrases) < fewer_than]
    found = {one.id: one for one in (*(by_name[name] for name in names), *few)}
    if not found:
        raise ExportError(f"--fewer-than: each open service has {fewer_than} phrases or more")
    return list(found.values())
