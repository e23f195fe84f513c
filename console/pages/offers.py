"""The page of a service's proposals: what it shows of each, and what was typed."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from malgil_core.catalog.service import Service
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from console.forms.fields import number, text
from console.suggestions import Suggested, Suggestions
from console.suggestions.sentences import verdict
from console.templating import is_htmx, render
from console.view import View
from export.suggest.proposals import Near, Proposal
from store.store import Store
from store.types import Stored

COUNTS = (5, 10, 20)  # phrases that can be asked for


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


def page(
    request: Request, stored: Stored[Service], typed: Typed | None = None, problems: Sequence[str] = ()
) -> Response:
    """The page of a service; with the form that could not be saved, as it was typed. Blocks."""
    found = context(request, stored)
    if typed:
        offers: list[Offer] = found["offers"]
        at = next((at for at, one in enumerate(offers) if one.text == typed.proposal), None)
        if at is None:  # the console was started anew, or somebody else has decided
            offers.insert(0, Offer(typed.proposal, typed.phrase, problems=tuple(problems)))
        else:
            offers[at] = replace(offers[at], typed=typed.phrase, problems=tuple(problems))
    if is_htmx(request):
        return render(request, "suggest_offers.html", **found)
    return render(request, "suggest.html", 422 if problems else 200, **found)


def context(request: Request, stored: Stored[Service]) -> dict[str, Any]:
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


def stored_of(request: Request) -> Stored[Service]:
    """The service of a request's path. Blocks."""
    return store_of(request).service(request.path_params["id"])


def store_of(request: Request) -> Store:
    """The store."""
    store: Store = request.app.state.store
    return store
