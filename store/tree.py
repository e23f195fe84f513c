"""The tree of services: paths that follow from names and parents."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from malgil_core.catalog.service import Service

SEPARATOR = " > "


def path_of(services: Mapping[int, Service], id: int) -> str:
    """The path of a service that follows from the tree: the names from the root down, "송금 > 계좌 송금".

    Args:
        services: by their ids; a parent that is missing, or among the service's own children, ends the path.
        id: of the service.
    """
    names: list[str] = []
    seen: set[int | None] = set()
    at: int | None = id
    while at is not None and at not in seen and at in services:
        seen.add(at)
        names.append(services[at].name)
        at = services[at].parent_id
    return SEPARATOR.join(reversed(names))


def below(services: Iterable[Service], id: int) -> list[Service]:
    """The services below another, children before their own children."""
    children: dict[int | None, list[Service]] = {}
    for service in services:
        children.setdefault(service.parent_id, []).append(service)
    found: list[Service] = []
    ids = [id]
    for at in ids:
        for child in children.pop(at, ()):
            found.append(child)
            ids.append(child.id)
    return found


def with_path(before: Mapping[int, Service], service: Service) -> Service:
    """A service that is about to be saved: a path that followed from the tree, and was not edited, follows again."""
    old = before.get(service.id)
    if old is None or service.path != old.path or old.path != path_of(before, old.id):
        return service
    return replace(service, path=path_of({**before, service.id: service}, service.id))


def followers(before: Mapping[int, Service], service: Service) -> list[Service]:
    """The services below one that is about to be saved whose paths followed from the tree, with their new paths."""
    after = {**before, service.id: service}
    changed = []
    for child in below(before.values(), service.id):
        if child.path == path_of(before, child.id) and (path := path_of(after, child.id)) != child.path:
            changed.append(replace(child, path=path))
    return changed
