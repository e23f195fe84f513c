"""이력: every change, login, publish and export, who and when; filtered, and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from itertools import islice
from urllib.parse import urlencode

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from console.changes import differences
from console.forms.fields import whole_number
from console.pages import entries
from console.security.cells import safe_row
from console.security.roles import requires
from console.templating import Link, render
from store.store import Store
from store.types import Change

PAGE = 100
READ = 1000  # changes that are read at once
MOST = 100_000  # changes that a filter looks through, and that the CSV has
links = (Link("이력", "/audit", 90),)


@dataclass(frozen=True)
class Filters:
    """What is looked for: who, what, of which kind, on which days (of this machine's time zone), in which words."""

    by: str = ""
    action: str = ""
    kind: str = ""
    since: str = ""
    until: str = ""
    q: str = ""

    @classmethod
    def of(cls, request: Request) -> Filters:
        """The filters in an address."""
        return cls(**{name: request.query_params.get(name, "").strip()[:200] for name in cls.__dataclass_fields__})

    def keep(self, change: Change) -> bool:
        """Whether a change is one of those looked for."""
        day = change.at.astimezone().date()
        since, until = _day(self.since), _day(self.until)
        return (
            (not self.by or self.by.casefold() in change.by.casefold())
            and (not self.action or change.action == self.action)
            and (since is None or day >= since)
            and (until is None or day <= until)
            and (not self.q or self.q.casefold() in f"{change.name}\n{change.note}".casefold())
        )

    def address(self, **more: object) -> str:
        """The filters as the query of an address."""
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__} | more
        return urlencode({name: value for name, value in fields.items() if value})


@requires("read")
async def show(request: Request) -> Response:
    """The page."""

    def shown() -> Response:
        filters = Filters.of(request)
        before = whole_number(request.query_params.get("before", ""))
        store: Store = request.app.state.store
        # Most changes that are looked through are not shown: their lines are not read.
        changes = _changes(store, filters, before, *((READ, False) if filters.address() else (PAGE + 1, True)))
        found = list(islice(changes, PAGE + 1))
        more = f"/audit?{filters.address(before=found[PAGE - 1].number)}" if len(found) > PAGE else ""
        return render(
            request,
            "audit.html",
            filters=filters,
            history=[entries.entry(request, _whole(store, change)) for change in found[:PAGE]],
            more=more,
            newest=f"/audit?{filters.address()}" if before else "",
            actions=entries.ACTIONS,
            kinds=entries.KINDS,
            csv=f"/audit.csv?{filters.address()}",
        )

    return await anyio.to_thread.run_sync(shown)


@requires("read")
async def table(request: Request) -> Response:
    """The same as CSV."""

    def written() -> bytes:
        filters = Filters.of(request)
        text = io.StringIO()
        rows = csv.writer(text)
        rows.writerow(["번호", "때", "누가", "한 일", "종류", "이름", "내용", "메모"])
        store: Store = request.app.state.store
        for change in _changes(store, filters, None, READ):
            rows.writerow(safe_row(_row(change)))
        store.record("export", "file", "audit.csv", by=request.state.user.name)
        return text.getvalue().encode("utf-8-sig")

    content = await anyio.to_thread.run_sync(written)
    headers = {"Content-Disposition": 'attachment; filename="audit.csv"'}
    return Response(content, media_type="text/csv; charset=utf-8", headers=headers)


def _row(change: Change) -> list[object]:
    parts = []
    if change.before and change.after:
        for found in differences(change.before, change.after):
            removed, added = "; ".join(found.removed), "; ".join(found.added)
            parts.append(f"{found.label}: {removed} → {added}")
    return [
        change.number,
        change.at.isoformat(timespec="seconds"),
        change.by,
        entries.ACTIONS.get(change.action, change.action),
        entries.KINDS.get(change.kind, change.kind),
        change.name,
        "\n".join(parts),
        change.note,
    ]


def _changes(store: Store, filters: Filters, before: int | None, at_once: int, lines: bool = True) -> Iterator[Change]:
    """The changes that the filters let through, newest first."""
    for _ in range(-(-MOST // at_once)):
        page = store.history(filters.kind or None, None, before, at_once, lines=lines)
        yield from filter(filters.keep, page)
        if not page:
            return
        before = page[-1].number


def _whole(store: Store, change: Change) -> Change:
    """A change with its lines."""
    if change.key is None or change.before is not None or change.after is not None:
        return change
    return store.history(before=change.number + 1, limit=1)[0]


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


routes = [Route("/audit", show, methods=["GET"]), Route("/audit.csv", table, methods=["GET"])]
