"""Saving, deleting and restoring services and null topics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from malgil_core.catalog.errors import CatalogError
from malgil_core.catalog.null_topic import NullTopic
from malgil_core.catalog.relations import null_relations, relations
from malgil_core.catalog.service import Service
from malgil_core.catalog.validation import validate
from sqlalchemy import insert, select

from store import lines, schema, tree
from store.errors import ConflictError, InvalidError, NotFoundError, Problem, StoreError
from store.reading import NULL_TOPIC, SERVICE
from store.types import Snapshot, Stored
from store.writing import Writable, Writer, checked_note

NEW = 0  # key of an entry that is not stored yet


class Entries(Writable):
    """A store's services and null topics. Each call is one transaction, which also writes the history."""

    def save_service(self, service: Service, *, by: str, expected: int | None, note: str = "") -> Stored[Service]:
        """Save a service under its id. One that is the same already gets no new version.

        A path that followed from the tree, and was not edited, follows its new name or parent, and so do those of the
        services below it.

        Args:
            service: to save.
            by: who does it.
            expected: the version that was edited; None makes a new service, as the last of the catalog.
            note: for the history.

        Raises:
            ConflictError: it has another version meanwhile, or was deleted.
            InvalidError: a field is wrong, or it does not go with the others.
            NotFoundError: there never was a service of this id, though a version is expected.
        """
        checked = _checked(service)
        assert isinstance(checked, Service)
        with self._writing(by) as writer:
            old = _of_id(writer.snapshot, service.id)
            if expected is not None:
                _expect(writer, old, expected, f"service {service.id}", schema.entries.c.id == service.id)
            entry = old if expected is not None else None
            found: Stored[Service] = _save(writer, SERVICE, checked, entry, "change" if entry else "create", note)
            return found

    def delete_service(self, id: int, *, by: str, expected: int) -> None:
        """Delete a service that has no children.

        Raises:
            ConflictError: it has another version meanwhile, or was deleted.
            InvalidError: it has children.
            NotFoundError: there never was a service of this id.
        """
        with self._writing(by) as writer:
            entry = _expect(writer, _of_id(writer.snapshot, id), expected, f"service {id}", schema.entries.c.id == id)
            children = [one.value.id for one in writer.snapshot.services if one.value.parent_id == id]
            if children:
                sentence = f"id {id} is the parent of {len(children)} services: delete or move these first"
                raise InvalidError([Problem("id", "has_children", id, sentence, {"ids": children})])
            _delete(writer, SERVICE, entry)

    def save_null_topic(
        self, topic: NullTopic, key: int | None, *, by: str, expected: int | None, note: str = ""
    ) -> Stored[NullTopic]:
        """Save a null topic under its key, None for a new one; else as `save_service`."""
        checked = _checked(topic)
        assert isinstance(checked, NullTopic)
        if (key is None) != (expected is None):
            raise StoreError("a new null topic has neither a key nor an expected version, another one has both")
        with self._writing(by) as writer:
            entry = None
            if key is not None and expected is not None:
                old = _of_key(writer.snapshot.null_topics, key)
                entry = _expect(writer, old, expected, f"null topic {key}", schema.entries.c.key == key)
            found: Stored[NullTopic] = _save(writer, NULL_TOPIC, checked, entry, "change" if entry else "create", note)
            return found

    def delete_null_topic(self, key: int, *, by: str, expected: int) -> None:
        """Delete a null topic; errors as of `delete_service`."""
        with self._writing(by) as writer:
            old = _of_key(writer.snapshot.null_topics, key)
            entry = _expect(writer, old, expected, f"null topic {key}", schema.entries.c.key == key)
            _delete(writer, NULL_TOPIC, entry)

    def restore(self, number: int, *, by: str) -> Stored[Any]:
        """Save an entry as it was after a change of the history, or before it if that was its deletion.

        Raises:
            NotFoundError: there is no such change of a service or null topic.
            InvalidError: it does not go with the other entries of today.
        """
        with self._writing(by) as writer:
            change = writer.connection.execute(
                select(schema.history).where(schema.history.c.number == number, schema.history.c.key.is_not(None))
            ).one_or_none()
            if change is None:
                raise NotFoundError(f"change {number} is none of a service or null topic")
            value = lines.value_of(change.before if change.after is None else change.after)
            entries: Sequence[Stored[Any]] = (*writer.snapshot.services, *writer.snapshot.null_topics)
            entry = _of_key(entries, change.key)
            note = f"as {'before' if change.after is None else 'after'} change {number}"
            return _save(writer, change.kind, value, entry, "restore", note, change.key)


def _save(
    writer: Writer, kind: str, value: Service | NullTopic, old: Stored[Any] | None, action: str, note: str,
    key: int = NEW,
) -> Stored[Any]:  # fmt: skip
    """Save an entry after its relations were checked; `key` is that of one that was deleted."""
    changed: list[Service] = []
    before: dict[int, Service] = {}
    if isinstance(value, Service):
        before = {entry.value.id: entry.value for entry in writer.snapshot.services}
        if old is not None:
            value = tree.with_path(before, value)
    if old is not None and old.value == value:
        return old
    key = old.key if old else key
    _check_relations(writer.snapshot, key, value)
    if isinstance(value, Service) and old is not None:
        changed = tree.followers(before, value)
    saved = _put(writer, kind, value, old, key, action, checked_note(note))
    for child in changed:
        parent = _of_id(writer.snapshot, child.id)
        assert parent
        _put(writer, SERVICE, child, parent, parent.key, "change", f"path follows service {getattr(value, 'id', '')}")
    return saved


def _put(
    writer: Writer, kind: str, value: Service | NullTopic, old: Stored[Any] | None, key: int, action: str, note: str
) -> Stored[Any]:
    line = value.as_dict()
    row = None
    if key != NEW:
        row = writer.connection.execute(select(schema.entries).where(schema.entries.c.key == key)).one()
    version = row.version + 1 if row else 1
    source = bytes(row.source) if row and row.source is not None else None
    same = source is not None and lines.of_source(source) == value
    columns = {
        "name": value.name, "value": line, "line": source if same else lines.render(line, source),
        "version": version, "changed_at": writer.at, "changed_by": writer.by,
    }  # fmt: skip
    if row:
        writer.update([{"key_": key, **columns}])
    else:
        key, id = writer.next_key(), value.id if isinstance(value, Service) else None
        place = {"key": key, "kind": kind, "id": id, "position": writer.next_position(), "lead": b""}
        writer.connection.execute(insert(schema.entries), [{**place, **columns}])
    before = old.value.as_dict() if old else None
    writer.record(action, kind, value.name, key=key, before=before, after=line, note=note, version=version)
    return Stored(key, value, version, writer.at, writer.by)


def _delete(writer: Writer, kind: str, entry: Stored[Any]) -> None:
    version, before = entry.version + 1, entry.value.as_dict()
    writer.update([{"key_": entry.key, "value": None, "line": None, "version": version,
                    "changed_at": writer.at, "changed_by": writer.by}])  # fmt: skip
    writer.record("delete", kind, entry.value.name, key=entry.key, before=before, version=version)


def _checked(value: Service | NullTopic) -> Service | NullTopic:
    try:
        return validate(value.as_dict())
    except CatalogError as error:
        raise InvalidError(error.details) from None


def _check_relations(snapshot: Snapshot, key: int, value: Service | NullTopic) -> None:
    """Check an entry against the others, which go with each other; it stands last, so that problems are its own."""
    services = [(entry.key, entry.value) for entry in snapshot.services if entry.key != key]
    topics = [(entry.key, entry.value) for entry in snapshot.null_topics if entry.key != key]
    if isinstance(value, Service):
        services.append((key, value))
    else:
        topics.append((key, value))
    names = {number: f"service {service.id} ({service.name})" for number, service in services}
    names |= {number: f"null topic {topic.name}" for number, topic in topics}
    of_services = relations(services, names.__getitem__) if isinstance(value, Service) else ()
    of_topics = null_relations(topics, services, names.__getitem__)
    problems = [problem for _, problem in (*of_services, *of_topics)]
    if problems:
        raise InvalidError([_as_seen_from(value, problem, names, topics) for problem in problems])


def _as_seen_from(
    value: Service | NullTopic, problem: Problem, names: dict[int, str], topics: list[tuple[int, NullTopic]]
) -> Problem:
    """A problem whose field is one of the entry that is saved, and which names the other one."""
    if "other" not in problem.params:
        return problem
    if problem.code == "null_is_service" and isinstance(value, Service):
        text = problem.value
        other, name = next((number, topic.name) for number, topic in topics if text in topic.phrases)
        field = "name" if text == value.name else "phrases"
        sentence = f"{field} has {text!r}, which is a phrase of {names[other]}"
        return Problem(field, "service_is_null", text, sentence, {"other": other, "name": name})
    return replace(problem, params={**problem.params, "name": names[problem.params["other"]]})


def _of_id(snapshot: Snapshot, id: int) -> Stored[Service] | None:
    return next((entry for entry in snapshot.services if entry.value.id == id), None)


def _of_key(entries: Sequence[Stored[Any]], key: int) -> Stored[Any] | None:
    return next((entry for entry in entries if entry.key == key), None)


def _expect(writer: Writer, old: Stored[Any] | None, expected: int, name: str, was: Any) -> Stored[Any]:
    """The entry, if it is there in the version that is expected."""
    if old is None:
        if writer.connection.execute(select(schema.entries.c.key).where(was)).first() is None:
            raise NotFoundError(f"there is no {name}")
        raise ConflictError(f"{name} was deleted meanwhile", None)
    if old.version != expected:
        raise ConflictError(f"{name} has version {old.version}, by {old.changed_by}, not {expected}", old)
    return old
