"""게시: the difference to what serves, checks, publish with progress, which server serves what, roll back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import anyio.to_thread
from malgil_core.catalog.reading import Catalog, with_null_files
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from console import warnings
from console.difference import Changed, Differences
from console.draft import Draft
from console.forms.fields import number, text
from console.jobs import BusyError
from console.pages import errors
from console.pages.search import draft_state
from console.published import Published
from console.publishing import Publishing
from console.security.roles import requires
from console.templating import Link, render
from store.store import Store

SHOWN = 200  # changed entries that are listed
CHECKED = 100  # changed services whose phrases are checked
links = (Link("게시", "/publish", 60),)
_differences = Differences()


@dataclass(frozen=True)
class Checked:
    """The warnings on the phrases of the services that a publish would change.

    Attributes:
        services: how many were checked.
        more: how many were not, because there are so many.
        warned: each service with the sentences on its lines.
    """

    services: int
    more: int
    warned: list[tuple[Changed, list[warnings.PhraseWarning]]]


@requires("read")
async def show(request: Request) -> Response:
    """The page."""
    return render(request, "publish.html", **await anyio.to_thread.run_sync(_page, request))


@requires("read")
async def job(request: Request) -> Response:
    """The job, for htmx while it runs."""
    found = await anyio.to_thread.run_sync(lambda: _publishing(request).job)
    return render(request, "publish_job.html", job=found)


@requires("read")
async def servers(request: Request) -> Response:
    """Which generation each server serves, for htmx."""
    found = await anyio.to_thread.run_sync(_publishing(request).servers)
    published: Published = request.app.state.published
    return render(request, "publish_servers.html", servers=found, current=published.number())


@requires("read")
async def checks(request: Request) -> Response:
    """The checks of what changed, for htmx."""
    return render(request, "publish_checks.html", checked=await anyio.to_thread.run_sync(_checked, request))


@requires("publish")
async def publish(request: Request) -> Response:
    """Start to publish."""
    form = await request.form()
    note, user = text(form, "note"), request.state.user.name
    return await anyio.to_thread.run_sync(_started, request, lambda jobs: jobs.publish(user, note))


@requires("publish")
async def roll_back(request: Request) -> Response:
    """Start to roll back."""
    form = await request.form()
    target, user = number(form, "generation"), request.state.user.name
    if target is None:
        raise HTTPException(400, "되돌릴 세대를 골라 주세요.")
    return await anyio.to_thread.run_sync(_started, request, lambda jobs: jobs.roll_back(target, user))


def _started(request: Request, start: Any) -> Response:
    """Start a job, or say who is at it. Blocks."""
    try:
        start(_publishing(request))
    except BusyError as error:
        return errors.page(request, 409, str(error))
    return RedirectResponse("/publish", 303)


def _publishing(request: Request) -> Publishing:
    jobs: Publishing | None = request.app.state.publishing
    if jobs is None:
        raise HTTPException(503, "이 콘솔에서는 게시할 수 없어요.")
    return jobs


def _changes(request: Request) -> list[Changed]:
    """What a publish would change. Blocks."""
    store: Store = request.app.state.store
    revision, published = store.revision(), request.app.state.published
    return _differences.between(published.current(), catalog_of(request), revision)


def catalog_of(request: Request) -> Catalog:
    """The catalog that a publish would write. Blocks."""
    return with_null_files(request.app.state.store.catalog(), request.app.state.settings.null_topics)


def _page(request: Request) -> dict[str, Any]:
    store, published, runs = request.app.state.store, request.app.state.published, request.app.state.runs
    changes = _changes(request)
    counts = {what: sum(one.what == what for one in changes) for what in ("added", "changed", "removed")}
    sets = [(name, runs.last(name) if runs else None) for name in store.test_set_names()]
    return {
        "changes": changes[:SHOWN],
        "more": max(len(changes) - SHOWN, 0),
        "counts": counts,
        "current": published.current(),
        "entries": published.entries(),
        "sets": sets,
        "revision": store.revision(),
        "state": draft_state(request),
        "job": _publishing(request).job,
    }


def _checked(request: Request) -> Checked:
    draft: Draft | None = request.app.state.draft
    changes = [one for one in _changes(request) if one.id is not None and one.what != "removed"]
    if draft is None:
        return Checked(0, len(changes), [])
    services = {one.id: one for one in catalog_of(request).services}
    warned = []
    for one in changes[:CHECKED]:
        if one.id not in services:
            continue
        service = services[one.id]
        if found := warnings.check(draft, service.id, service.name, service.phrases):
            warned.append((one, found))
    return Checked(min(len(changes), CHECKED), max(len(changes) - CHECKED, 0), warned)


routes = [
    Route("/publish", show, methods=["GET"]),
    Route("/publish", publish, methods=["POST"]),
    Route("/publish/job", job, methods=["GET"]),
    Route("/publish/servers", servers, methods=["GET"]),
    Route("/publish/checks", checks, methods=["GET"]),
    Route("/publish/rollback", roll_back, methods=["POST"]),
]
