"""검색 테스트: results at each keystroke, the draft beside what is live, and saved test sets run on both."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import anyio.to_thread
from malgil_core.text.validation import is_blank
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from console.comparison import Comparison, compare
from console.draft import Draft, DraftState
from console.security.roles import requires
from console.templating import Link, is_htmx, render
from console.view import View

COUNTS = (5, 10, 30)  # hits that can be asked for
CHANGED = "draft-changed"  # event in the browser: what was searched in the draft is searched again
links = (Link("검색 테스트", "/search", 30),)


@dataclass(frozen=True)
class Asked:
    """What the page's address asks."""

    q: str = ""
    surface: str = ""
    top_k: int = 10
    null: bool = True

    @classmethod
    def of(cls, request: Request) -> Asked:
        """The fields of a request's address."""
        query = request.query_params
        top_k = query.get("top_k", "")
        asked = bool(query)
        return cls(
            query.get("q", "")[:10_000],
            query.get("surface", ""),
            int(top_k) if top_k in map(str, COUNTS) else 10,
            query.get("null") == "1" if asked and "form" in query else True,
        )


@requires("read")
async def show(request: Request) -> Response:
    """The page; for htmx the results alone."""
    context = await anyio.to_thread.run_sync(_found, request)
    if is_htmx(request):
        return render(request, "search_results.html", **context)
    return render(request, "search.html", **context, **await anyio.to_thread.run_sync(_choices, request))


@requires("read")
async def state(request: Request) -> Response:
    """The state of the draft, for htmx; where it holds newer changes than the page shows, what shows them is told."""
    found = await anyio.to_thread.run_sync(draft_state, request)
    shown = request.query_params.get("revision", "")
    newer = found is not None and not found.building and shown != str(found.revision)
    return render(request, "draft_state.html", headers={"HX-Trigger": CHANGED} if newer else None, state=found)


def draft_state(request: Request) -> DraftState | None:
    """The state of the draft, `building` from the moment of a save on; None where the console has none. Blocks."""
    draft: Draft | None = request.app.state.draft
    if draft is None:
        return None
    found = draft.state
    return replace(found, building=found.building or found.revision != request.app.state.store.revision())


def _found(request: Request) -> dict[str, Any]:
    """The answers to what is asked. Blocks."""
    asked = Asked.of(request)
    draft: Draft | None = request.app.state.draft
    state = draft_state(request)  # before the search: what answers is as new as this says, or newer
    comparison: Comparison | None = None
    if draft is not None and not is_blank(asked.q):
        published = request.app.state.published
        comparison = compare(draft, published, asked.q, asked.surface or None, asked.top_k, asked.null)
    return {
        "asked": asked,
        "comparison": comparison,
        "state": state,
        "sets": request.app.state.store.test_set_names(),
    }


def _choices(request: Request) -> dict[str, Any]:
    view: View = request.app.state.views.current()
    return {"surfaces": view.surfaces, "counts": COUNTS}


routes = [
    Route("/search", show, methods=["GET"]),
    Route("/search/state", state, methods=["GET"]),
]
