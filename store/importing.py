"""Import of a catalog file in place of what a store holds."""

from __future__ import annotations

from typing import Any

from malgil_core.catalog.null_topic import NullTopic
from malgil_core.catalog.reading import parse_lines
from malgil_core.catalog.service import Service
from sqlalchemy import insert, update

from store import lines, schema
from store.reading import CATALOG, NULL_TOPIC, SERVICE, dump, live
from store.types import ImportReport
from store.writing import MAX_NAME_BYTES, Writable, Writer


class Importing(Writable):
    """A store that files are imported into."""

    def replace(self, content: bytes, source: str, *, by: str) -> ImportReport:
        """Make the store hold what a file does: services are the same by their ids, null topics by their names.

        Nothing is written if the file is what `dump` gives.

        Args:
            content: JSON Lines. Unlike a file to publish, it may have null topics alone.
            source: the file's name, for errors and the history.
            by: who does it.

        Raises:
            CatalogError: every problem of the file, each with its line; nothing was changed.
        """
        layout = lines.split(content)
        parsed = [(value, *layout.lines[number]) for number, value in parse_lines(content, source)]
        with self._writing(by) as writer:
            rows = {_identity(lines.value_of(row.value)): row for row in writer.connection.execute(live())}
            same = dump(writer.connection) == content
            report = _replace(writer, parsed, rows) if not same else _unchanged(parsed)
            if not same:
                writer.connection.execute(update(schema.catalog).values(head=layout.head, tail=layout.tail))
                name = source.encode("utf-8", "replace")[-MAX_NAME_BYTES:].decode("utf-8", "ignore")
                writer.record("import", CATALOG, name, note=str(report))
            return report


Parsed = list[tuple[Service | NullTopic, bytes, bytes]]  # value, blank lines before it, text


def _identity(value: Service | NullTopic) -> tuple[str, int | str]:
    return (SERVICE, value.id) if isinstance(value, Service) else (NULL_TOPIC, value.name)


def _unchanged(parsed: Parsed) -> ImportReport:
    return ImportReport((), (), (), tuple(value.name for value, _, _ in parsed))


def _replace(writer: Writer, parsed: Parsed, rows: dict[tuple[str, int | str], Any]) -> ImportReport:
    kept = {_identity(value) for value, _, _ in parsed}
    removed = [row for identity, row in rows.items() if identity not in kept]
    who = {"changed_at": writer.at, "changed_by": writer.by}
    writer.update([{"key_": row.key, "value": None, "line": None, "version": row.version + 1, **who}
                   for row in removed])  # fmt: skip
    added: list[dict[str, Any]] = []
    moved: list[dict[str, Any]] = []
    changed: list[dict[str, Any]] = []
    unchanged: list[str] = []
    key = writer.next_key()
    for position, (value, lead, text) in enumerate(parsed):
        row, line = rows.get(_identity(value)), value.as_dict()
        place = {"position": position, "lead": lead, "source": text, "line": text}
        if row is None:
            kind, id = (SERVICE, value.id) if isinstance(value, Service) else (NULL_TOPIC, None)
            entry = {"key": key + len(added), "kind": kind, "id": id, "name": value.name, "value": line}
            added.append({**entry, "version": 1, **place, **who})
        elif row.value == line:
            unchanged.append(value.name)
            if any(getattr(row, name) != place[name] for name in place):
                moved.append({"key_": row.key, **place})
        else:
            changed.append({"key_": row.key, "name": value.name, "value": line, "version": row.version + 1,
                            **place, **who})  # fmt: skip
    writer.update(moved)
    writer.update(changed)
    if added:
        writer.connection.execute(insert(schema.entries), added)
    before = {row.key: row for row in rows.values()}
    for row in removed:
        writer.record("import", row.kind, row.name, key=row.key, before=row.value, version=row.version + 1)
    for new in changed:
        row = before[new["key_"]]
        writer.record("import", row.kind, new["name"], key=row.key, before=row.value, after=new["value"],
                      version=new["version"])  # fmt: skip
    for new in added:
        writer.record("import", new["kind"], new["name"], key=new["key"], after=new["value"], version=1)
    names = [[str(row["name"]) for row in found] for found in (added, changed)]
    return ImportReport(tuple(names[0]), tuple(names[1]), tuple(str(row.name) for row in removed), tuple(unchanged))
