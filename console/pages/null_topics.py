"""앱에 없는 것: null topics, what the app does not do; queries for them get an empty answer."""

from __future__ import annotations

from typing import Any

import anyio.to_thread
from malgil_core.catalog.null_topic import NullTopic
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from console import conflicts, messages
from console.forms.fields import LABELS, Errors, number, whole_number
from console.forms.null_topic import NullTopicForm
from console.pages import entries, errors
from console.security.roles import requires
from console.templating import Link, is_htmx, render
from store.errors import ConflictError, InvalidError, NotFoundError
from store.store import Store
from store.types import Stored

SHOWN_HISTORY = 5
PAGE = 200
links = (Link("앱에 없는 것", "/null-topics", 20),)


@requires("read")
async def show_all(request: Request) -> Response:
    """The list, narrowed by `?q=`; for htmx the list alone."""

    def listed() -> Response:
        topics: list[Stored[NullTopic]] = request.app.state.store.null_topics()
        query = request.query_params.get("q", "").strip()[:500]
        wanted = query.casefold()
        found = [topic for topic in topics if not wanted or wanted in "\n".join(_texts(topic.value)).casefold()]
        return render(
            request,
            "null_topics_list.html" if is_htmx(request) else "null_topics.html",
            found=found[:PAGE],
            total=len(found),
            count=len(topics),
            phrases=sum(len(topic.value.phrases) for topic in topics),
            query=query,
            files=[file.name for file in request.app.state.settings.null_topics],
        )

    return await anyio.to_thread.run_sync(listed)


@requires("read")
async def show(request: Request) -> Response:
    """The form of a null topic."""

    def shown() -> Response:
        stored = request.app.state.store.null_topic(request.path_params["key"])
        return _page(request, NullTopicForm.stored(stored), stored)

    return await anyio.to_thread.run_sync(shown)


@requires("edit")
async def new(request: Request) -> Response:
    """The form of a new one, with the name and phrases of the address."""
    query = request.query_params
    form = NullTopicForm(query.get("name", "")[:1000], query.get("phrases", "")[:8000])
    return await anyio.to_thread.run_sync(_page, request, form, None)


@requires("edit")
async def save(request: Request) -> Response:
    """Save a null topic, or create one."""
    form = await request.form()
    typed, key = NullTopicForm.of(form), request.path_params.get("key")

    def saved() -> Response:
        store: Store = request.app.state.store
        stored = _present(store, key) if key is not None else None
        chosen = typed
        if "resolve" in form and stored is not None:
            values = conflicts.resolved(form, stored.value.as_dict())
            phrases = "\n".join(values["phrases"]) if "phrases" in values else typed.phrases
            chosen = typed.with_fields(name=values.get("name", typed.name), phrases=phrases)
        topic = chosen.topic(stored.value if stored else None)
        version = whole_number(typed.version)
        if stored is not None and topic == stored.value and version == stored.version:
            return RedirectResponse(f"/null-topics/{key}?done=unchanged", 303)
        if key is not None and stored is None and "resolve" not in form:
            if not store.had_null_topic(key):
                return errors.page(request, 404, "그런 ‘앱에 없는 것’은 있었던 적이 없어요. 주소를 확인해 주세요.")
            return _conflict(request, chosen, topic, key, None)
        of = key if stored is not None else None
        try:
            by = request.state.user.name
            result = store.save_null_topic(topic, of, by=by, expected=version if of is not None else None)
        except InvalidError as error:
            return _page(request, chosen, stored, messages.by_field(error.problems), 422)
        except ConflictError as error:
            return _conflict(request, chosen, topic, key, error.current)
        return RedirectResponse(f"/null-topics/{result.key}?done={'saved' if of is not None else 'created'}", 303)

    return await anyio.to_thread.run_sync(saved)


@requires("edit")
async def confirm(request: Request) -> Response:
    """The page that asks before a null topic is deleted."""
    return await anyio.to_thread.run_sync(_confirm, request, "", 200)


@requires("edit")
async def delete(request: Request) -> Response:
    """Delete a null topic."""
    form = await request.form()

    def deleted() -> Response:
        store: Store = request.app.state.store
        try:
            key, by = request.path_params["key"], request.state.user.name
            store.delete_null_topic(key, by=by, expected=number(form, "version") or 0)
        except ConflictError:
            return _confirm(request, "그사이 다른 사람이 바꿨어요. 바뀐 내용을 보고 다시 해 주세요.", 409)
        return RedirectResponse("/null-topics?done=deleted", 303)

    return await anyio.to_thread.run_sync(deleted)


@requires("read")
async def history(request: Request) -> Response:
    """The whole history of a null topic."""

    def shown() -> Response:
        stored = request.app.state.store.null_topic(request.path_params["key"])
        found = entries.history(request, "null_topic", stored.key, 200)
        back = f"/null-topics/{stored.key}"
        return render(request, "history.html", history=found, name=stored.value.name, back=back)

    return await anyio.to_thread.run_sync(shown)


def _confirm(request: Request, error: str, status: int) -> Response:
    stored = request.app.state.store.null_topic(request.path_params["key"])
    known = {"name": stored.value.name, "version": stored.version, "below": 0, "id": stored.key}
    return render(request, "delete.html", status, **known, back=f"/null-topics/{stored.key}", error=error)


def _conflict(
    request: Request, typed: NullTopicForm, mine: NullTopic, key: int | None, theirs: Stored[Any] | None
) -> Response:
    """What the other person saved, beside what was typed. Blocks."""
    store: Store = request.app.state.store
    differences = []
    if theirs is not None:
        base = entries.at_version(store, "null_topic", theirs.key, whole_number(typed.version) or 0)
        differences = conflicts.compare(base, mine.as_dict(), theirs.value.as_dict())
    fields = [("name", typed.name), ("phrases", typed.phrases), ("version", str(theirs.version) if theirs else "")]
    return render(
        request,
        "conflict.html",
        409,
        deleted=theirs is None,
        name=mine.name,
        action="/null-topics/new" if theirs is None else f"/null-topics/{key}",
        back="/null-topics" if theirs is None else f"/null-topics/{key}",
        fields=fields,
        by=theirs.changed_by if theirs else "",
        at=theirs.changed_at if theirs else None,
        mine=[(LABELS["name"], mine.name), (LABELS["phrases"], typed.phrases)],
        differences=differences,
    )


def _page(
    request: Request,
    form: NullTopicForm,
    stored: Stored[NullTopic] | None,
    found: Errors | None = None,
    status: int = 200,
) -> Response:
    """The form's page. Blocks."""
    history = entries.history(request, "null_topic", stored.key, SHOWN_HISTORY + 1) if stored else []
    return render(
        request,
        "null_topic.html",
        status,
        form=form,
        errors=found or {},
        labels=LABELS,
        key=stored.key if stored else None,
        title=stored.value.name if stored else "",
        history=history[:SHOWN_HISTORY],
        older=len(history) > SHOWN_HISTORY,
    )


def _present(store: Store, key: int) -> Stored[NullTopic] | None:
    try:
        return store.null_topic(key)
    except NotFoundError:
        return None


def _texts(topic: NullTopic) -> tuple[str, ...]:
    return (topic.name, *topic.phrases)


routes = [
    Route("/null-topics", show_all, methods=["GET"]),
    Route("/null-topics/new", new, methods=["GET"]),
    Route("/null-topics/new", save, methods=["POST"]),
    Route("/null-topics/{key:int}", show, methods=["GET"]),
    Route("/null-topics/{key:int}", save, methods=["POST"]),
    Route("/null-topics/{key:int}/delete", confirm, methods=["GET"]),
    Route("/null-topics/{key:int}/delete", delete, methods=["POST"]),
    Route("/null-topics/{key:int}/history", history, methods=["GET"]),
]
