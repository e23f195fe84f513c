"""Decisions on proposals: accepted as they are or changed, or rejected, each by itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import anyio.to_thread
from malgil_core.catalog.errors import CatalogError
from malgil_core.catalog.service import Service
from malgil_core.catalog.validation import validate
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from console import conflicts, messages
from console.forms.fields import FormError, shown_line
from console.forms.service import ServiceForm
from console.pages import entries, errors, offers, service
from console.pages.offers import Typed
from console.security.roles import requires
from console.suggestions import Suggestions
from console.templating import DONE, is_htmx, render
from console.view import View
from export.suggest.database import NOTE
from store.errors import ConflictError, InvalidError
from store.store import Store
from store.types import Stored


@requires("edit")
async def accept(request: Request) -> Response:
    """Add a phrase to the service: the proposal, or what was made of it."""
    form = await request.form()

    def accepted() -> Response:
        typed = Typed.of(form)
        stored = service.present(offers.store_of(request), request.path_params["id"])
        if stored is None:
            sentence = f"다른 사람이 이 서비스를 지웠어요. 이력에서 되살릴 수 있어요. 적은 문장: ‘{typed.phrase[:200]}’"
            return errors.page(request, 404, sentence)
        if "resolve" in form:
            return _resolve(request, stored, typed, form)
        return _add(request, stored, typed)

    return await anyio.to_thread.run_sync(accepted)


def _add(request: Request, stored: Stored[Service], typed: Typed) -> Response:
    """Save the service as it was shown, with the phrase. Blocks."""
    phrase = shown_line(typed.phrase)
    if not phrase:
        return offers.page(request, stored, typed, ["문장을 적어 주세요."])
    if phrase in map(shown_line, stored.value.texts):
        return offers.page(request, stored, typed, ["이 서비스에 이미 있는 문장이에요."])
    base = _shown(offers.store_of(request), stored, typed.version)
    mine = replace(base, phrases=(*base.phrases, phrase))

    def form() -> ServiceForm:
        view: View = request.app.state.views.current()
        return ServiceForm.stored(replace(stored, value=mine, version=typed.version), view)

    try:
        return _saved(request, typed, mine, form)
    except InvalidError as error:
        return offers.page(request, stored, typed, [messages.sentence(problem) for problem in error.problems])


def _resolve(request: Request, stored: Stored[Service], typed: Typed, form: FormData) -> Response:
    """Save what was chosen where somebody else had saved meanwhile. Blocks."""
    view: View = request.app.state.views.current()
    chosen = service.resolved(ServiceForm.of(form), conflicts.resolved(form, stored.value.as_dict()))
    chosen = chosen.with_fields(id=str(stored.value.id))
    try:
        return _saved(request, typed, chosen.service(view, stored.value), lambda: chosen)
    except FormError as error:
        return service.page(request, view, chosen, error.errors, 422)
    except InvalidError as error:
        return service.page(request, view, chosen, messages.by_field(error.problems), 422)


def _saved(request: Request, typed: Typed, mine: Service, form: Callable[[], ServiceForm]) -> Response:
    """Save: the list without the proposal, or what somebody else saved meanwhile. Blocks."""
    try:
        by = request.state.user.name
        saved = offers.store_of(request).save_service(mine, by=by, expected=typed.version, note=NOTE)
    except ConflictError as error:
        more = (("proposal", typed.proposal), ("phrase", typed.phrase))
        here = f"/suggest/{mine.id}"
        page = service.conflict(request, form(), mine, error.current, f"{here}/accept", here, more)
        if is_htmx(request):  # the whole page in place of this one
            page.status_code = 200
            page.headers.update({"HX-Retarget": "#content", "HX-Reselect": "#content", "HX-Reswap": "outerHTML"})
        return page
    if shown_line(typed.phrase) not in map(shown_line, saved.value.texts):  # the other content was chosen
        return RedirectResponse(f"/suggest/{mine.id}?done=unchanged", 303)
    return _decided(request, saved, typed, "accepted")


def _decided(request: Request, stored: Stored[Service], typed: Typed, done: str) -> Response:
    """The way on after a decision; for htmx the list."""
    jobs: Suggestions | None = request.app.state.suggestions
    if jobs:
        jobs.decide(stored.key, typed.proposal)
    if not is_htmx(request):
        return RedirectResponse(f"/suggest/{stored.value.id}?done={done}", 303)
    found = offers.context(request, stored)
    if found["offers"]:
        found["offers"][0] = replace(found["offers"][0], next=True)
    return render(request, "suggest_offers.html", **{**found, "notice": DONE[done]})


def _shown(store: Store, stored: Stored[Service], version: int) -> Service:
    """The service in the version that was shown; as it is now where the history does not say. Blocks."""
    if version == stored.version:
        return stored.value
    line = entries.at_version(store, "service", stored.key, version)
    try:
        found = validate(line) if line else stored.value
    except CatalogError:  # of an older version of the program
        return stored.value
    return found if isinstance(found, Service) else stored.value


@requires("edit")
async def reject(request: Request) -> Response:
    """Take a proposal off the list for good."""
    form = await request.form()
    typed = Typed.of(form)

    def rejected() -> Response:
        stored = offers.stored_of(request)
        return _decided(request, stored, typed, "rejected")

    return await anyio.to_thread.run_sync(rejected)


routes = [
    Route("/suggest/{id:int}/accept", accept, methods=["POST"]),
    Route("/suggest/{id:int}/reject", reject, methods=["POST"]),
]
