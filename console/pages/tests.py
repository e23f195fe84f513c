"""테스트 세트: saved queries and the services that they should find, edited, and run on the draft and what is live."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import anyio.to_thread
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from console.forms.fields import text, whole_number
from console.pages import errors
from console.pages.search import draft_state
from console.security.roles import requires
from console.templating import DONE, is_htmx, render
from console.test_sets import Run, TestRuns
from console.view import View
from export import ROOT
from export.catalog import labelled
from export.catalog.labelled import LabelError
from store.store import Store

EXAMPLE = ROOT / "catalogs" / "finance_queries.jsonl"
LONGEST_NAME = 80
MOST = 5000  # queries of a set: minutes on a small machine
DONE["tested"] = "테스트 세트에 더했어요."


@dataclass(frozen=True)
class Listed:
    """A set in the list; `problem` says why it cannot be run."""

    name: str
    queries: int
    problem: str
    changed_by: str
    changed_at: Any
    last: Run | None


@requires("read")
async def show(request: Request) -> Response:
    """All sets."""
    return render(request, "tests.html", **await anyio.to_thread.run_sync(_list, request), error="", typed="")


@requires("edit")
async def upload(request: Request) -> Response:
    """A set made of a file, of what was typed, or of the example."""
    async with request.form() as form:
        name, file = text(form, "name").strip()[:LONGEST_NAME], form.get("file")
        content = await file.read() if isinstance(file, UploadFile) else b""
        if "example" in form:
            name, content = name or "예시", await anyio.to_thread.run_sync(EXAMPLE.read_bytes)
        elif not name and isinstance(file, UploadFile):
            name = (file.filename or "").rsplit("/")[-1].removesuffix(".jsonl")[:LONGEST_NAME]
    return await anyio.to_thread.run_sync(_save, request, name, content, "tests.html")


@requires("read")
async def edit(request: Request) -> Response:
    """The lines of a set."""

    def found() -> Response:
        one = request.app.state.store.test_set(request.query_params.get("name", ""))
        return render(request, "test_set.html", name=one.name, content=one.content.decode(), error="")

    return await anyio.to_thread.run_sync(found)


@requires("edit")
async def save(request: Request) -> Response:
    """Save the lines of a set."""
    form = await request.form()
    content = text(form, "content").encode("utf-8")
    return await anyio.to_thread.run_sync(_save, request, text(form, "name"), content, "test_set.html")


@requires("edit")
async def add(request: Request) -> Response:
    """Add a query to a set, from the page of the search test."""
    form = await request.form()
    query, expected, name = text(form, "query"), whole_number(text(form, "expected")), text(form, "set")

    def added() -> Response:
        store: Store = request.app.state.store
        one = store.test_set(name)
        line = json.dumps({"query": query, "id": expected, "kind": "console"}, ensure_ascii=False)
        content = one.content.rstrip(b"\n") + b"\n" + line.encode() + b"\n"
        _parsed(content, name)
        store.save_test_set(name, content, by=request.state.user.name)
        return RedirectResponse(f"/search?form=1&null=1&done=tested&q={quote(query)}", 303)

    return await anyio.to_thread.run_sync(added)


@requires("edit")
async def delete(request: Request) -> Response:
    """Delete a set."""
    form = await request.form()
    name = text(form, "name")
    await anyio.to_thread.run_sync(lambda: request.app.state.store.delete_test_set(name, by=request.state.user.name))
    return RedirectResponse("/search/tests?done=deleted", 303)


@requires("read")
async def start(request: Request) -> Response:
    """Run a set."""
    form = await request.form()
    name = text(form, "name")

    def started() -> Response:
        runs: TestRuns | None = request.app.state.runs
        if runs is None:
            raise HTTPException(503, "이 콘솔에는 초안 검색이 없어요.")
        queries, problem = _parsed(request.app.state.store.test_set(name).content, name)
        if problem:
            return errors.page(request, 422, problem)
        return RedirectResponse(f"/search/runs/{runs.start(name, queries).id}", 303)

    return await anyio.to_thread.run_sync(started)


@requires("read")
async def run(request: Request) -> Response:
    """A run: its progress, or its result; for htmx the part alone."""
    runs: TestRuns | None = request.app.state.runs
    found = runs.look(request.path_params["id"]) if runs else None
    if found is None:
        if is_htmx(request):
            return Response("테스트 결과가 더 남아 있지 않아요. 다시 돌려 주세요.", 286)  # htmx stops asking
        raise HTTPException(404, "테스트 결과가 더 남아 있지 않아요. 다시 돌려 주세요.")
    names = await anyio.to_thread.run_sync(_services, request)
    template = "test_run_part.html" if is_htmx(request) else "test_run.html"
    return render(request, template, run=found, names=names)


@requires("read")
async def cancel(request: Request) -> Response:
    """End a run."""
    if request.app.state.runs:
        request.app.state.runs.cancel(request.path_params["id"])
    return RedirectResponse("/search/tests", 303)


def _save(request: Request, name: str, content: bytes, template: str) -> Response:
    """Save a set: the list, or the form with what is wrong. Blocks."""
    queries, problem = _parsed(content, name)
    if not name.strip():
        problem = "세트의 이름을 적어 주세요."
    elif not problem and not queries:
        problem = "검색어가 하나도 없어요. 한 줄에 하나씩 적어 주세요."
    if problem:
        shown = {"name": name, "content": content.decode("utf-8", "replace")}
        context = _list(request) if template == "tests.html" else shown
        return render(request, template, 422, error=problem, **{"typed": name, **context})
    request.app.state.store.save_test_set(name, content, by=request.state.user.name)
    return RedirectResponse("/search/tests?done=saved", 303)


def _parsed(content: bytes, name: str) -> tuple[list[labelled.Labelled], str]:
    """The queries of a set, and why it cannot be used, in Korean."""
    try:
        queries = labelled.parse(content, name)
    except LabelError as error:
        form = '{"query": "검색어", "id": 서비스 ID 또는 null, "kind": "종류"}'
        return [], f"{error.line}번째 줄을 읽을 수 없어요. 한 줄은 {form} 모양이어야 해요."
    if len(queries) > MOST:
        return [], f"검색어가 {len(queries):,}개예요. 한 세트에는 {MOST:,}개까지 담을 수 있어요."
    return queries, ""


def _list(request: Request) -> dict[str, Any]:
    store: Store = request.app.state.store
    runs: TestRuns | None = request.app.state.runs
    sets = []
    for one in store.test_sets():
        queries, problem = _parsed(one.content, one.name)
        last = runs.last(one.name) if runs else None
        sets.append(Listed(one.name, len(queries), problem, one.changed_by, one.changed_at, last))
    return {"sets": sets, "state": draft_state(request)}


def _services(request: Request) -> dict[int, str]:
    """The names of services by id."""
    view: View = request.app.state.views.current()
    return {id: stored.value.path for id, stored in view.by_id.items()}


routes = [
    Route("/search/tests", show, methods=["GET"]),
    Route("/search/tests", upload, methods=["POST"]),
    Route("/search/tests/set", edit, methods=["GET"]),
    Route("/search/tests/set", save, methods=["POST"]),
    Route("/search/tests/add", add, methods=["POST"]),
    Route("/search/tests/delete", delete, methods=["POST"]),
    Route("/search/tests/run", start, methods=["POST"]),
    Route("/search/runs/{id:str}", run, methods=["GET"]),
    Route("/search/runs/{id:str}/cancel", cancel, methods=["POST"]),
]
