"""서비스 관리: the form of a service, its creation, and what it shows while one types."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import anyio.to_thread
from malgil_core.catalog.service import Service
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from console import conflicts, messages
from console.changes import shown
from console.forms.fields import LABELS, Errors, FormError, whole_number
from console.forms.service import ServiceForm
from console.pages import entries, errors
from console.security.roles import requires
from console.templating import render
from console.view import View
from store.errors import ConflictError, InvalidError, NotFoundError
from store.store import Store
from store.types import Stored

SHOWN_HISTORY = 5


@requires("read")
async def show(request: Request) -> Response:
    """The form of a service."""
    return await anyio.to_thread.run_sync(_show, request)


@requires("edit")
async def new(request: Request) -> Response:
    """The form of a new service, below the one of `?parent=`."""

    def made() -> Response:
        view: View = request.app.state.views.current()
        parent = whole_number(request.query_params.get("parent", ""))
        id = str(request.app.state.store.next_id())
        above = view.by_id[parent].value if parent in view.by_id else None
        form = ServiceForm(
            id=id,
            suggested=id,
            parent_id="" if above is None else str(parent),
            surfaces=above.surfaces if above else (),
        )
        return page(request, view, form)

    return await anyio.to_thread.run_sync(made)


@requires("edit")
async def save(request: Request) -> Response:
    """Save a service, or create one: back to it, or the form with what is wrong, or what the other person saved."""
    form = await request.form()
    typed = ServiceForm.of(form)
    id: int | None = request.path_params.get("id")
    if id is None and whole_number(typed.version) is None:
        typed = typed.with_fields(version="")

    def saved() -> Response:
        chosen = typed
        if "resolve" in form and id is not None:
            theirs = present(request.app.state.store, id)
            chosen = resolved(typed, conflicts.resolved(form, theirs.value.as_dict() if theirs else {}))
        return _save(request, chosen, id, again="resolve" in form)

    return await anyio.to_thread.run_sync(saved)


def _save(request: Request, typed: ServiceForm, id: int | None, again: bool) -> Response:
    """Save what was typed. Blocks."""
    view: View = request.app.state.views.current()
    try:
        return _saved(request, view, typed, id, again)
    except FormError as error:
        return page(request, view, typed, error.errors, 422)
    except InvalidError as error:
        fresh = str(request.app.state.store.next_id())
        taken = any(problem.field == "id" for problem in error.problems)
        if id is None and taken and typed.id == typed.suggested != fresh:
            # somebody else took the number that the form came with
            return _save(request, typed.with_fields(id=fresh, suggested=fresh), id, again)
        return page(request, view, typed, messages.by_field(error.problems), 422)


def _saved(request: Request, view: View, typed: ServiceForm, id: int | None, again: bool) -> Response:
    """Save what was typed: the way back to the service, or what the other person saved."""
    store: Store = request.app.state.store
    stored = present(store, id) if id is not None else None
    before = stored.value if stored else None
    version = whole_number(typed.version)
    service = typed.with_fields(id=str(id) if id is not None else typed.id).service(view, before)
    if stored is not None and service == before and version == stored.version:
        return RedirectResponse(f"/services/{id}?done=unchanged", 303)
    if id is not None and stored is None and not again:
        if not store.had_service(id):
            return errors.page(request, 404, f"ID가 {id}인 서비스는 있었던 적이 없어요. 주소를 확인해 주세요.")
        return conflict(request, typed, service, None)
    expected = (version or 0) if stored is not None else None
    try:
        result = store.save_service(service, by=request.state.user.name, expected=expected)
    except ConflictError as error:
        return conflict(request, typed, service, error.current)
    done = "created" if id is None else "saved"
    return RedirectResponse(f"/services/{result.value.id}?done={done}", 303)


def conflict(
    request: Request,
    typed: ServiceForm,
    mine: Service,
    theirs: Stored[Any] | None,
    action: str = "",
    back: str = "",
    more: Sequence[tuple[str, str]] = (),
) -> Response:
    """What the other person saved, beside what was typed; the choice is sent to `action` with `more` fields. Blocks."""
    store: Store = request.app.state.store
    version = whole_number(typed.version) or 0
    line = mine.as_dict()
    context: dict[str, Any] = {
        "deleted": theirs is None,
        "name": mine.name,
        "action": action or f"/services/{mine.id}",
        "back": "/services" if theirs is None else back or f"/services/{mine.id}",
        "fields": [*_fields(typed, str(theirs.version) if theirs else ""), *more],
        "by": theirs.changed_by if theirs else "",
        "at": theirs.changed_at if theirs else None,
        "mine": [(label, shown(field, line[field])) for field, label in LABELS.items() if field in line],
        "differences": [],
    }
    if theirs is not None:
        base = entries.at_version(store, "service", theirs.key, version)
        # The path follows from name and parent, which are chosen: it is no choice of its own.
        found = conflicts.compare(base, {k: v for k, v in line.items() if k != "path"}, theirs.value.as_dict())
        context["differences"] = found
    return render(request, "conflict.html", 409, **context)


def _fields(typed: ServiceForm, version: str) -> list[tuple[str, str]]:
    """The fields of the form, to be sent again."""
    texts = ("parent_id", "service_id", "name", "phrases", "memo", "more_surfaces", "threshold", "own_path")
    fields = [(name, getattr(typed, name)) for name in texts]
    fields += [("surfaces", surface) for surface in typed.surfaces]
    return [*fields, ("open", "1" if typed.open else ""), ("version", version)]


def resolved(typed: ServiceForm, values: dict[str, Any]) -> ServiceForm:
    """The form with the values that were chosen in place of what was typed."""
    form = typed
    for field, value in values.items():
        if field == "open":
            form = form.with_fields(open=bool(value))
        elif field == "phrases":
            form = form.with_fields(phrases="\n".join(value))
        elif field == "surfaces":
            form = form.with_fields(surfaces=tuple(value), more_surfaces="")
        elif field == "threshold":
            form = form.with_fields(threshold="" if value is None else f"{value:.15g}")
        else:
            form = form.with_fields(**{field: "" if value is None else str(value)})
    return form


def _show(request: Request) -> Response:
    view: View = request.app.state.views.current()
    stored = view.by_id.get(request.path_params["id"])
    if stored is None:
        raise HTTPException(404)
    return page(request, view, ServiceForm.stored(stored, view))


def page(request: Request, view: View, form: ServiceForm, found: Errors | None = None, status: int = 200) -> Response:
    """The form's page. Blocks."""
    id = whole_number(form.id) if form.version else None
    stored = view.by_id.get(id) if id is not None else None
    history = entries.history(request, "service", stored.key, SHOWN_HISTORY + 1) if stored else []
    chosen = dict.fromkeys([*view.surfaces, *form.surfaces])
    return render(
        request,
        "service.html",
        status,
        form=form,
        errors=found or {},
        labels=LABELS,
        title=stored.value.name if stored else "",
        is_open=stored.value.open if stored else False,
        above=[*reversed([*view.ancestors(id)])] if stored and id is not None else [],
        below=len(view.children.get(id, ())) if stored else 0,
        path=view.path(form.name.strip() or "…", whole_number(form.parent_id)),
        surfaces=list(chosen),
        history=history[:SHOWN_HISTORY],
        older=len(history) > SHOWN_HISTORY,
    )


def present(store: Store, id: int) -> Stored[Service] | None:
    """The service of an id; None if there is none. Blocks."""
    try:
        return store.service(id)
    except NotFoundError:
        return None


@requires("read")
async def parents(request: Request) -> Response:
    """Suggestions for PID: services that hold what was typed, without the service itself and what is below it."""

    def found() -> Response:
        view: View = request.app.state.views.current()
        own = whole_number(request.query_params.get("id", ""))
        without = view.below(own) if own in view.by_id and own is not None else set()
        typed = request.query_params.get("parent_id", "")[:200]
        services = [stored.value for stored in view.containing(typed) if stored.value.id not in without]
        return render(request, "parents.html", services=services[:20])

    return await anyio.to_thread.run_sync(found)


@requires("read")
async def path(request: Request) -> Response:
    """The path that name and parent make, as the form shows it while one types."""
    view: View = await anyio.to_thread.run_sync(request.app.state.views.current)
    query = request.query_params
    parent = whole_number(query.get("parent_id", "").split(" ")[0])
    name = query.get("name", "").strip()[:1000] or "…"
    missing = parent is not None and parent not in view.by_id
    return render(request, "path.html", path=view.path(name, parent), missing=missing, parent=parent)


routes = [
    Route("/services/new", new, methods=["GET"]),
    Route("/services/new", save, methods=["POST"]),
    Route("/services/parents", parents, methods=["GET"]),
    Route("/services/path", path, methods=["GET"]),
    Route("/services/{id:int}", show, methods=["GET"]),
    Route("/services/{id:int}", save, methods=["POST"]),
]
