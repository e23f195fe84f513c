"""검색 데이터: what people searched for and did not find, each query one click from a phrase or a null phrase."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

import anyio.to_thread
from malgil_core.catalog.null_topic import NullTopic
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from console import messages
from console.draft import Draft
from console.draft.drafted import folded
from console.draft.problems import DraftError
from console.draft.types import Hit
from console.forms.fields import number, shown_line, text
from console.pages import errors
from console.search_data import Found, SearchData
from console.security.roles import requires
from console.templating import Link, render
from console.view import View
from store.errors import ConflictError, InvalidError
from store.store import Store

links = (Link("검색 데이터", "/data", 40),)
KINDS = {
    "empty": "결과 없음",
    "refused": "앱에 없다고 답함",
    "unchosen": "보고도 고르지 않음",
    "chosen": "한 서비스를 고름",
    "asked": "많이 찾음",
}
DAYS = (7, 28, 90)
CANDIDATES = 3  # services that a query can be put into with one click
NOTE = "검색 데이터"  # in the history


@dataclass(frozen=True)
class Asked:
    """What the page's address asks."""

    kind: str = "empty"
    days: int = 28

    @classmethod
    def of(cls, fields: Any) -> Asked:
        """The fields of an address, or of a form that was sent from one."""
        days = str(fields.get("days", ""))
        kind = str(fields.get("kind", ""))
        return cls(kind if kind in KINDS else "empty", int(days) if days in map(str, DAYS) else 28)

    def address(self, **more: str) -> str:
        """The address."""
        return f"/data?{urlencode({'kind': self.kind, 'days': self.days, **more})}"


@dataclass(frozen=True)
class Line:
    """A query as the page shows it.

    Attributes:
        query: as most people typed it.
        people: to whom this happened.
        searches: that asked it, whatever came of them.
        first: id and name of the service that came first; None where there was none.
        there: the services that have it as a phrase.
        is_null: whether it is a null phrase.
        candidates: id and name of services that it may belong to.
    """

    query: str
    people: int
    searches: int | None
    first: tuple[int, str] | None
    there: tuple[tuple[int, str], ...]
    is_null: bool
    candidates: tuple[tuple[int, str], ...] = ()


@requires("read")
async def show(request: Request) -> Response:
    """The page."""
    return await anyio.to_thread.run_sync(lambda: _page(request, Asked.of(request.query_params)))


@requires("edit")
async def phrase(request: Request) -> Response:
    """Put a query into a service, as a phrase."""
    form = await request.form()
    asked, query, id = Asked.of(form), shown_line(text(form, "query")), number(form, "service")

    def added() -> Response:
        store: Store = request.app.state.store
        stored = store.service(-1 if id is None else id)
        if query in map(shown_line, stored.value.texts):
            return RedirectResponse(asked.address(done="unchanged"), 303)
        service = replace(stored.value, phrases=(*stored.value.phrases, query))
        try:
            store.save_service(service, by=request.state.user.name, expected=stored.version, note=NOTE)
        except InvalidError as error:
            return _page(request, asked, [messages.sentence(problem) for problem in error.problems])
        except ConflictError:
            return errors.page(request, 409, "그사이 다른 사람이 이 서비스를 바꿨어요. 돌아가서 다시 해 주세요.")
        return RedirectResponse(asked.address(done="accepted"), 303)

    return await anyio.to_thread.run_sync(added)


@requires("edit")
async def null(request: Request) -> Response:
    """Make a null topic of a query."""
    form = await request.form()
    asked, query = Asked.of(form), shown_line(text(form, "query"))

    def made() -> Response:
        store: Store = request.app.state.store
        try:
            store.save_null_topic(
                NullTopic(query, (query,)), None, by=request.state.user.name, expected=None, note=NOTE
            )
        except InvalidError as error:
            return _page(request, asked, [messages.sentence(problem) for problem in error.problems])
        return RedirectResponse(asked.address(done="null"), 303)

    return await anyio.to_thread.run_sync(made)


def _page(request: Request, asked: Asked, problems: Sequence[str] = ()) -> Response:
    """The page, with why a query could not be taken. Blocks."""
    data: SearchData | None = request.app.state.search_data
    found = data.of(asked.days) if data else Found("empty")
    lines = _lines(request, asked.kind, found)
    return render(
        request, "data.html", 422 if problems else 200, asked=asked, found=found, lines=lines, kinds=KINDS, days=DAYS,
        problems=problems, people=data.people if data else 0, counts=_counts(found),
    )  # fmt: skip


def _counts(found: Found) -> dict[str, int]:
    return {**{kind: len(rows) for kind, rows in (found.queries or {}).items()}, "chosen": len(found.chosen)}


def _lines(request: Request, kind: str, found: Found) -> list[Line]:
    """The queries of a kind, with the services that each may belong to."""
    if found.queries is None:
        return []
    view: View = request.app.state.views.current()
    names = {id: stored.value.name for id, stored in view.by_id.items()}
    owners: dict[str, list[tuple[int, str]]] = {}
    for stored in view.services:
        for one in dict.fromkeys(map(folded, stored.value.texts)):
            owners.setdefault(one, []).append((stored.value.id, stored.value.name))
    topics = request.app.state.store.null_topics()
    nulls = {folded(one) for topic in topics for one in topic.value.phrases}

    def line(query: str, people: int, searches: int | None, first: int | None) -> Line:
        here = (first, names[first]) if first in names else None
        there = tuple(owners.get(folded(query), ()))
        return Line(query, people, searches, here, there, folded(query) in nulls)

    if kind == "chosen":
        known = [(line(one.query, one.people, None, one.id)) for one in found.chosen]
        return [replace(one, candidates=(one.first,)) for one in known if one.first and one.first not in one.there]
    rows = found.queries[kind]
    made = [
        line(row["query"], row["people" if kind == "asked" else kind], row["searches"], row["first_id"]) for row in rows
    ]
    open_ones = [one for one in made if not one.there and not one.is_null]
    candidates = dict(
        zip(open_ones, _candidates(request.app.state.draft, [one.query for one in open_ones]), strict=True)
    )
    return [replace(one, candidates=candidates.get(one, ())) for one in made]


def _candidates(draft: Draft | None, queries: Sequence[str]) -> list[tuple[tuple[int, str], ...]]:
    """The services nearest to each query; none where the draft cannot tell."""
    found: list[list[Hit]] = [[] for _ in queries]
    if draft is not None and queries:
        with contextlib.suppress(DraftError):
            found = draft.candidates(queries, CANDIDATES)
    return [tuple((hit.id, hit.name) for hit in hits) for hits in found]


routes = [
    Route("/data", show, methods=["GET"]),
    Route("/data/phrase", phrase, methods=["POST"]),
    Route("/data/null", null, methods=["POST"]),
]
