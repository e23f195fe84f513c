"""제안: services, and phrases that a language model suggests for one; suggest_decisions takes what is decided."""

from __future__ import annotations

import anyio.to_thread
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from console import warnings
from console.forms.fields import number, shown_line, text
from console.pages import errors, offers
from console.pages.offers import COUNTS
from console.security.roles import requires
from console.suggestions import BusyError, Suggestions
from console.templating import Link, render
from console.view import View

SHOWN = 100  # services in the list
links = (Link("제안", "/suggest", 50),)


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
    return await anyio.to_thread.run_sync(lambda: offers.page(request, offers.stored_of(request)))


@requires("edit")
async def start(request: Request) -> Response:
    """Ask for phrases."""
    form = await request.form()
    count = number(form, "count")

    def started() -> Response:
        jobs, stored, store = _suggestions(request), offers.stored_of(request), offers.store_of(request)
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
        return render(
            request, "suggest_job.html", **{**offers.context(request, offers.stored_of(request)), "with_offers": True}
        )

    return await anyio.to_thread.run_sync(shown)


@requires("edit")
async def cancel(request: Request) -> Response:
    """End the job."""

    def cancelled() -> Response:
        jobs, stored = _suggestions(request), offers.stored_of(request)
        jobs.cancel(stored.key)
        jobs.wait(stored.key)
        return RedirectResponse(f"/suggest/{stored.value.id}", 303)

    return await anyio.to_thread.run_sync(cancelled)


@requires("edit")
async def check(request: Request) -> Response:
    """Warnings of what stands in a field, for htmx."""
    form = await request.form()
    typed, draft = shown_line(text(form, "phrase")), request.app.state.draft

    def checked() -> list[warnings.PhraseWarning]:
        value = offers.stored_of(request).value
        lines = [*value.phrases, typed]
        found = warnings.check(draft, value.id, value.name, lines)
        return [one for one in found if one.line == len(lines) - 1]

    found = await anyio.to_thread.run_sync(checked) if draft is not None and typed else []
    return render(request, "suggest_check.html", warnings=found)


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
    Route("/suggest/{id:int}/check", check, methods=["POST"]),
]
