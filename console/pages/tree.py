"""서비스 전체 보기: the tree of services, a search as one types, filters, counts, and the catalog as a file."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import anyio.to_thread
from malgil_core.catalog.service import Service
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from console.forms.fields import LABELS
from console.security.cells import safe_row
from console.security.roles import requires
from console.templating import Link, is_htmx, render
from console.view import View
from store.types import Stored

PAGE = 200  # lines that are rendered at once
links = (Link("서비스 전체 보기", "/services", 10),)


@dataclass(frozen=True)
class Filters:
    """What the list is narrowed to; each of them is a field of the page's address."""

    q: str = ""
    open: str = ""  # "yes", "no", or "" for both
    surface: str = ""
    changed: bool = False
    bare: bool = False  # without phrases: found by name alone

    @classmethod
    def of(cls, request: Request) -> Filters:
        """The filters in a request's address."""
        query = request.query_params
        return cls(
            query.get("q", "").strip()[:500],
            query.get("open", ""),
            query.get("surface", ""),
            query.get("changed") == "1",
            query.get("bare") == "1",
        )

    @property
    def any(self) -> bool:
        """Whether one is set: a list is shown in place of the tree."""
        return self != Filters()

    def keep(self, view: View, stored: Stored[Service]) -> bool:
        """Whether the filters beside the query let a service through."""
        service = stored.value
        return (
            (not self.open or service.open == (self.open == "yes"))
            and (not self.surface or self.surface in service.surfaces)
            and (not self.changed or stored.key in view.changed)
            and (not self.bare or is_bare(service))
        )

    def address(self, **more: Any) -> str:
        """The filters as the query of an address."""
        fields = {"q": self.q, "open": self.open, "surface": self.surface, **more}
        fields |= {name: "1" for name in ("changed", "bare") if getattr(self, name)}
        return urlencode({name: value for name, value in fields.items() if value})


def is_bare(service: Service) -> bool:
    """Whether a service has no phrase but its name."""
    return not any(phrase != service.name for phrase in service.phrases)


@requires("read")
async def home(request: Request) -> Response:
    """The first page."""
    return RedirectResponse("/services", 303)


@requires("read")
async def show(request: Request) -> Response:
    """The page; for htmx the list alone."""
    context = await anyio.to_thread.run_sync(_listed, request)
    return render(request, "tree_list.html" if is_htmx(request) else "tree.html", **context)


@requires("read")
async def branch(request: Request) -> Response:
    """The services below one, for htmx when a line of the tree is opened."""
    view: View = await anyio.to_thread.run_sync(request.app.state.views.current)
    parent: int | None = request.path_params.get("id")
    return render(request, "tree_branch.html", **_branch(view, parent, _offset(request)))


@requires("read")
async def table(request: Request) -> Response:
    """All services as CSV, for spreadsheets."""

    def written() -> bytes:
        view: View = request.app.state.views.current()
        store, user = request.app.state.store, request.state.user.name
        store.record("export", "file", "services.csv", by=user)
        return _csv(view)

    content = await anyio.to_thread.run_sync(written)
    return Response(content, media_type="text/csv; charset=utf-8", headers=_attachment("services.csv"))


@requires("read")
async def dump(request: Request) -> Response:
    """The catalog as JSON Lines, as `python -m console export`."""

    def written() -> bytes:
        content: bytes = request.app.state.store.dump()
        request.app.state.store.record("export", "file", "catalog.jsonl", by=request.state.user.name)
        return content

    content = await anyio.to_thread.run_sync(written)
    return Response(content, media_type="application/jsonl; charset=utf-8", headers=_attachment("catalog.jsonl"))


def _listed(request: Request) -> dict[str, Any]:
    """What the page shows. Blocks."""
    view: View = request.app.state.views.current()
    filters = Filters.of(request)
    counts = {
        "all": len(view.services),
        "open": sum(stored.value.open for stored in view.services),
        "phrases": sum(len(stored.value.phrases) for stored in view.services),
        "bare": sum(is_bare(stored.value) for stored in view.services),
        "changed": len(view.changed),
    }
    context = {"filters": filters, "counts": counts, "surfaces": view.surfaces, "view": view, "is_bare": is_bare}
    if not filters.any:
        parent = _number(request.query_params.get("at"))
        above = [*reversed([*view.ancestors(parent)]), view.by_id[parent]] if parent in view.by_id else []
        return {**context, **_branch(view, parent if above else None, _offset(request)), "above": above, "found": None}
    found, how = _found(request, view, filters)
    offset = _offset(request)
    more = f"/services?{filters.address(offset=offset + PAGE)}" if len(found) > offset + PAGE else ""
    return {
        **context,
        "found": found[offset : offset + PAGE],
        "total": len(found),
        "how": how,
        "more": more,
        "next": PAGE,
    }


def _found(request: Request, view: View, filters: Filters) -> tuple[list[Stored[Service]], str]:
    """The services for the filters, and how the query was answered: "malgil", "text", or "" without a query.

    What holds the typed text as it stands comes first: a part of a service id is no sentence to an encoder.
    """
    if not filters.q:
        return [stored for stored in view.services if filters.keep(view, stored)], ""
    found = view.containing(filters.q)
    how = "text"
    draft = request.app.state.draft
    if draft is not None and (ranked := _ranked(draft, filters.q)) is not None:
        how = "malgil"
        exact = {stored.value.id: stored for stored in found}
        by_rank = [view.by_id[id] for id in ranked if id in view.by_id]
        rest = [stored for id, stored in exact.items() if id not in set(ranked)]
        found = [*by_rank, *rest]
    return [stored for stored in found if filters.keep(view, stored)], how


def _ranked(draft: Any, query: str) -> list[int] | None:
    """The ids that the draft's search finds, or None where it cannot answer now: the text search does."""
    try:
        if draft.state.generation is None:
            return None
        answer = draft.search(query, top_k=50, null=False)
        hits = [*answer.hits, *answer.missing]  # closed services, and those that a threshold hides, are listed too
        return [hit.id for hit in sorted(hits, key=lambda hit: -hit.score)]
    except Exception:  # the server may be gone at any time: searching the list must not need it
        return None


def _branch(view: View, parent: int | None, offset: int) -> dict[str, Any]:
    ids = view.children.get(parent, [])
    nodes = [(view.by_id[id], len(view.children.get(id, ()))) for id in ids[offset : offset + PAGE]]
    rest = len(ids) - offset - PAGE
    return {
        "nodes": nodes,
        "parent": parent,
        "rest": max(rest, 0),
        "next_offset": offset + PAGE,
        "view": view,
        "is_bare": is_bare,
    }


def _csv(view: View) -> bytes:
    text = io.StringIO()
    rows = csv.writer(text)
    names = ("id", "parent_id", "service_id", "name", "path", "open", "phrases", "memo", "surfaces", "threshold")
    rows.writerow([LABELS[name] for name in names])
    for stored in view.services:
        service = stored.value
        rows.writerow(
            safe_row(
                [
                    service.id, service.parent_id, service.service_id, service.name, service.path,
                    "Y" if service.open else "N", "\n".join(service.phrases), service.memo,
                    ", ".join(service.surfaces), service.threshold,
                ]
            )
        )  # fmt: skip
    return text.getvalue().encode("utf-8-sig")  # spreadsheets take it for UTF-8


def _attachment(name: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="{name}"'}


def _offset(request: Request) -> int:
    return max(_number(request.query_params.get("offset")) or 0, 0)


def _number(text: str | None) -> int | None:
    """A number of an address, or None for what is none."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 17 else None


routes = [
    Route("/", home, methods=["GET"]),
    Route("/services", show, methods=["GET"]),
    Route("/services/{id:int}/below", branch, methods=["GET"]),
    Route("/services/roots", branch, methods=["GET"]),
    Route("/services.csv", table, methods=["GET"]),
    Route("/catalog.jsonl", dump, methods=["GET"]),
]
