"""서비스 관리, the rest: open, close and delete a service, warnings of its phrases, and what its threshold cuts."""

from __future__ import annotations

import dataclasses

import anyio.to_thread
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from console.draft import Draft, DraftError
from console.forms.fields import number, text
from console.pages import entries, errors
from console.security.roles import requires
from console.templating import render
from console.thresholds import Cut, preview
from console.view import View
from console.warnings import PhraseWarning, check
from store.errors import ConflictError, NotFoundError, StoreError
from store.store import Store

_MEANWHILE = "그사이 다른 사람이 이 서비스를 바꿨어요. 바뀐 내용을 보고 다시 해 주세요."


@requires("edit")
async def switch(request: Request) -> Response:
    """Open or close a service."""
    form = await request.form()
    id, opens = request.path_params["id"], request.url.path.endswith("/open")

    def switched() -> Response:
        store: Store = request.app.state.store
        stored = store.service(id)
        if stored.value.open != opens:
            service = dataclasses.replace(stored.value, open=opens)
            try:
                store.save_service(service, by=request.state.user.name, expected=number(form, "version") or 0)
            except ConflictError:
                return errors.page(request, 409, _MEANWHILE)
        return RedirectResponse(f"/services/{id}?done={'opened' if opens else 'closed'}", 303)

    return await anyio.to_thread.run_sync(switched)


@requires("edit")
async def confirm(request: Request) -> Response:
    """The page that asks before a service is deleted."""
    return await anyio.to_thread.run_sync(_confirm, request, "", 200)


@requires("edit")
async def delete(request: Request) -> Response:
    """Delete a service."""
    form = await request.form()

    def deleted() -> Response:
        store: Store = request.app.state.store
        id = request.path_params["id"]
        try:
            store.delete_service(id, by=request.state.user.name, expected=number(form, "version") or 0)
        except ConflictError:
            return _confirm(request, _MEANWHILE, 409)
        except NotFoundError:
            raise
        except StoreError:
            return _confirm(request, "아래에 서비스가 있어서 지울 수 없어요.", 409)
        return RedirectResponse("/services?done=deleted", 303)

    return await anyio.to_thread.run_sync(deleted)


def _confirm(request: Request, error: str, status: int) -> Response:
    view: View = request.app.state.views.current()
    id = request.path_params["id"]
    if id not in view.by_id:
        raise HTTPException(404)
    stored = view.by_id[id]
    return render(
        request,
        "delete.html",
        status,
        name=stored.value.name,
        version=stored.version,
        below=len(view.children.get(id, ())),
        id=id,
        back=f"/services/{id}",
        error=error,
    )


@requires("read")
async def history(request: Request) -> Response:
    """The whole history of a service."""

    def shown() -> Response:
        view: View = request.app.state.views.current()
        stored = view.by_id.get(request.path_params["id"])
        if stored is None:
            raise HTTPException(404)
        found = entries.history(request, "service", stored.key, 200)
        return render(
            request, "history.html", history=found, name=stored.value.name, back=f"/services/{stored.value.id}"
        )

    return await anyio.to_thread.run_sync(shown)


@requires("edit")
async def warnings(request: Request) -> Response:
    """Warnings of the phrases that stand in the form, as a list for htmx."""
    form = await request.form()
    phrases = text(form, "phrases").split("\n")
    draft: Draft | None = request.app.state.draft
    found: list[PhraseWarning] = []
    if draft is not None:
        found = await anyio.to_thread.run_sync(check, draft, request.path_params["id"], text(form, "name"), phrases)
    return render(request, "warnings.html", warnings=found)


@requires("read")
async def threshold(request: Request) -> Response:
    """What the typed threshold would cut, for htmx."""
    return render(request, "threshold.html", cut=await anyio.to_thread.run_sync(_cut, request))


def _cut(request: Request) -> Cut | None:
    """What a threshold would cut; None for what is no threshold, or while the draft cannot tell. Blocks."""
    state = request.app.state
    try:
        score = float(request.query_params.get("threshold", ""))
    except ValueError:
        return None
    if state.draft is None or not -1 <= score <= 1:
        return None
    try:
        return preview(state.draft, state.store, request.path_params["id"], score)
    except DraftError:
        return None


routes = [
    Route("/services/{id:int}/open", switch, methods=["POST"]),
    Route("/services/{id:int}/close", switch, methods=["POST"]),
    Route("/services/{id:int}/delete", confirm, methods=["GET"]),
    Route("/services/{id:int}/delete", delete, methods=["POST"]),
    Route("/services/{id:int}/history", history, methods=["GET"]),
    Route("/services/{id:int}/warnings", warnings, methods=["POST"]),
    Route("/services/{id:int}/threshold", threshold, methods=["GET"]),
]
