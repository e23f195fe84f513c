"""제안: phrases that a language model suggests for a service, accepted, changed or rejected one by one."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import anyio.to_thread
from malgil_core.catalog.errors import CatalogError
from malgil_core.catalog.service import Service
from malgil_core.catalog.validation import validate
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from console import conflicts, messages, warnings
from console.forms.fields import FormError, number, shown_line, text
from console.forms.service import ServiceForm
from console.pages import entries, errors, service
from console.security.roles import requires
from console.suggestions import BusyError, Suggested, Suggestions
from console.suggestions.sentences import verdict
from console.templating import DONE, Link, is_htmx, render
from console.view import View
from export.suggest.database import NOTE
from export.suggest.proposals import Near, Proposal
from store.errors import ConflictError, InvalidError
from store.store import Store
from store.types import Stored

COUNTS = (5, 10, 20)  # phrases that can be asked for
SHOWN = 100  # services in the list
links = (Link("제안", "/suggest", 50),)


@dataclass(frozen=True)
class Offer:
    """A proposal as the page shows it.

    Attributes:
        text: the proposal.
        typed: what stands in its field.
        verdict: in words; empty where it is not known any more.
        good: nothing speaks against it.
        own, other: the nearest phrases, of this service and of the rest.
        other_id: the catalog's id of the other service; None for a null topic.
        problems: why what was typed could not be saved.
        next: its button has the focus after the one before it was decided on.
    """

    text: str
    typed: str
    verdict: str = ""
    good: bool = False
    own: Near | None = None
    other: Near | None = None
    other_id: int | None = None
    problems: tuple[str, ...] = ()
    next: bool = False

    @property
    def key(self) -> str:
        """In ids of the page: the same for the same proposal."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Typed:
    """A form that was sent for a proposal."""

    proposal: str
    phrase: str
    version: int

    @classmethod
    def of(cls, form: FormData) -> Typed:
        """What was sent."""
        return cls(text(form, "proposal"), text(form, "phrase"), number(form, "version") or 0)


@requires("read")
async def show_all(request: Request) -> Response:
    """The services, those with the fewest phrases first, narrowed by `?q=`."""

    def listed() -> Response:
        view: View = request.app.state.views.current()
        query = request.query_params.get("q", "").strip()[:500]
        jobs: Suggestions | None = request.app.state.suggestions
        waiting = jobs.waiting() if jobs else {}
        found = [stored for stored in view.containing(query) if stored.value.open]
        found.sort(key=lambda stored: (stored.key not in waiting, len(stored.value.phrases)))
        return render(
            request, "suggest_services.html", found=found[:SHOWN], total=len(found), query=query, waiting=waiting,
            suggestions=jobs,
        )  # fmt: skip

    return await anyio.to_thread.run_sync(listed)


@requires("read")
async def show(request: Request) -> Response:
    """The page of a service."""
    return await anyio.to_thread.run_sync(lambda: _page(request, _stored(request)))


@requires("edit")
async def start(request: Request) -> Response:
    """Ask for phrases."""
    form = await request.form()
    count = number(form, "count")

    def started() -> Response:
        jobs, stored, store = _suggestions(request), _stored(request), _store(request)
        by = request.state.user.name
        try:
            if jobs.ask(stored, by, count if count in COUNTS else COUNTS[1]) and jobs.settings:
                store.record("suggest", "service", stored.value.name[:60], by=by, note=jobs.settings.shown)
        except BusyError as error:
            return errors.page(request, 409, str(error))
        return RedirectResponse(f"/suggest/{stored.value.id}", 303)

    return await anyio.to_thread.run_sync(started)


@requires("read")
async def job(request: Request) -> Response:
    """The job, for htmx while it runs; once it has ended, the proposals too."""

    def shown() -> Response:
        return render(request, "suggest_job.html", **{**_context(request, _stored(request)), "with_offers": True})

    return await anyio.to_thread.run_sync(shown)


@requires("edit")
async def cancel(request: Request) -> Response:
    """End the job."""

    def cancelled() -> Response:
        jobs, stored = _suggestions(request), _stored(request)
        jobs.cancel(stored.key)
        jobs.wait(stored.key)
        return RedirectResponse(f"/suggest/{stored.value.id}", 303)

    return await anyio.to_thread.run_sync(cancelled)


@requires("edit")
async def reject(request: Request) -> Response:
    """Take a proposal off the list for good."""
    form = await request.form()
    typed = Typed.of(form)

    def rejected() -> Response:
        stored = _stored(request)
        return _decided(request, stored, typed, "rejected")

    return await anyio.to_thread.run_sync(rejected)


@requires("edit")
async def check(request: Request) -> Response:
    """Warnings of what stands in a field, for htmx."""
    form = await request.form()
    typed, draft = shown_line(text(form, "phrase")), request.app.state.draft

    def checked() -> list[warnings.PhraseWarning]:
        value = _stored(request).value
        lines = [*value.phrases, typed]
        found = warnings.check(draft, value.id, value.name, lines)
        return [one for one in found if one.line == len(lines) - 1]

    found = await anyio.to_thread.run_sync(checked) if draft is not None and typed else []
    return render(request, "suggest_check.html", warnings=found)


@requires("edit")
async def accept(request: Request) -> Response:
    """Add a phrase to the service: the proposal, or what was made of it."""
    form = await request.form()

    def accepted() -> Response:
        typed = Typed.of(form)
        stored = service.present(_store(request), request.path_params["id"])
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
        return _page(request, stored, typed, ["문장을 적어 주세요."])
    if phrase in map(shown_line, stored.value.texts):
        return _page(request, stored, typed, ["이 서비스에 이미 있는 문장이에요."])
    base = _shown(_store(request), stored, typed.version)
    mine = replace(base, phrases=(*base.phrases, phrase))

    def form() -> ServiceForm:
        view: View = request.app.state.views.current()
        return ServiceForm.stored(replace(stored, value=mine, version=typed.version), view)

    try:
        return _saved(request, typed, mine, form)
    except InvalidError as error:
        return _page(request, stored, typed, [messages.sentence(problem) for problem in error.problems])


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
        saved = _store(request).save_service(mine, by=by, expected=typed.version, note=NOTE)
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
    context = _context(request, stored)
    if context["offers"]:
        context["offers"][0] = replace(context["offers"][0], next=True)
    return render(request, "suggest_offers.html", **{**context, "notice": DONE[done]})


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


def _page(
    request: Request, stored: Stored[Service], typed: Typed | None = None, problems: Sequence[str] = ()
) -> Response:
    """The page of a service; with the form that could not be saved, as it was typed. Blocks."""
    context = _context(request, stored)
    if typed:
        offers: list[Offer] = context["offers"]
        at = next((at for at, one in enumerate(offers) if one.text == typed.proposal), None)
        if at is None:  # the console was started anew, or somebody else has decided
            offers.insert(0, Offer(typed.proposal, typed.phrase, problems=tuple(problems)))
        else:
            offers[at] = replace(offers[at], typed=typed.phrase, problems=tuple(problems))
    if is_htmx(request):
        return render(request, "suggest_offers.html", **context)
    return render(request, "suggest.html", 422 if problems else 200, **context)


def _context(request: Request, stored: Stored[Service]) -> dict[str, Any]:
    """What the templates need. Blocks."""
    jobs: Suggestions | None = request.app.state.suggestions
    suggested = jobs.of_service(stored.key) if jobs else Suggested()
    view: View = request.app.state.views.current()
    ids = {one.value.service_id: id for id, one in view.by_id.items()}
    return {
        "service": stored.value,
        "version": stored.version,
        "suggestions": jobs,
        "job": suggested.job,
        "offers": [_offer(one, ids) for one in suggested.proposals],
        "counts": COUNTS,
        "notice": "",
        "with_offers": False,
    }


def _offer(one: Proposal, ids: dict[str, int]) -> Offer:
    other_id = ids.get(one.other.service_id or "") if one.other else None
    return Offer(one.text, one.text, verdict(one), one.verdict == "good", one.own, one.other, other_id)


def _stored(request: Request) -> Stored[Service]:
    return _store(request).service(request.path_params["id"])


def _store(request: Request) -> Store:
    store: Store = request.app.state.store
    return store


def _suggestions(request: Request) -> Suggestions:
    jobs: Suggestions | None = request.app.state.suggestions
    if jobs is None or jobs.settings is None:
        raise HTTPException(503, jobs.problem if jobs else "이 콘솔에는 언어 모델이 연결되어 있지 않아요.")
    return jobs


routes = [
    Route("/suggest", show_all, methods=["GET"]),
    Route("/suggest/{id:int}", show, methods=["GET"]),
    Route("/suggest/{id:int}", start, methods=["POST"]),
    Route("/suggest/{id:int}/job", job, methods=["GET"]),
    Route("/suggest/{id:int}/cancel", cancel, methods=["POST"]),
    Route("/suggest/{id:int}/accept", accept, methods=["POST"]),
    Route("/suggest/{id:int}/reject", reject, methods=["POST"]),
    Route("/suggest/{id:int}/check", check, methods=["POST"]),
]
