"""The application: routes of the pages, the gate before them, and what the pages share in `request.app.state`."""

from __future__ import annotations

from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from console import pages
from console.pages import errors, login
from console.published import Published
from console.security.gate import Entry, Gate
from console.security.headers import SecurityHeaders
from console.security.identity import Identity
from console.security.logins import Attempts
from console.security.roles import role_of
from console.security.sessions import Sessions
from console.settings import Settings
from console.templating import STATIC
from console.test_sets import TestRuns
from console.view import Views
from store.errors import NotFoundError
from store.store import Store


class Console(Starlette):
    """Starlette, with the security headers outside everything, its own error answers included."""

    def build_middleware_stack(self) -> ASGIApp:
        """The application within its middleware."""
        return SecurityHeaders(super().build_middleware_stack())


class Files(StaticFiles):
    """The static files: their addresses change with their content, so that browsers keep them."""

    def file_response(self, *args: Any, **kwargs: Any) -> Any:
        """A file's answer."""
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return response


def make_app(
    settings: Settings,
    store: Store,
    secret: str,
    draft: Any = None,
    publishing: Any = None,
    suggestions: Any = None,
    search_data: Any = None,
) -> Console:
    """The console.

    Args:
        settings: the settings.
        store: the store, open.
        secret: what signs the sessions (`security.secret.read_secret`).
        draft: the draft catalog's search; None where there is none: pages go without it.
        publishing: the job that publishes; None as well.
        suggestions: what suggests phrases; None as well.
        search_data: what reads the log of searches; None as well.
    """
    routes = [route for page in pages.PAGES for route in page.routes]
    _check_roles(routes)
    identity = Identity(settings, store, secret)
    middleware = [Middleware(Entry, settings=settings, refuse=errors.refusal)]
    if settings.forwarded:
        middleware.append(Middleware(ProxyHeadersMiddleware, trusted_hosts=list(settings.proxies)))
    middleware += [
        Middleware(Sessions, secret=secret),
        Middleware(Gate, identity=identity, ask=login.ask, resend=login.resend, refuse=errors.refusal),
    ]
    app = Console(
        routes=[*routes, Mount("/static", Files(directory=STATIC), name="static")],
        middleware=middleware,
        exception_handlers={
            HTTPException: errors.http_error,
            NotFoundError: errors.not_found,
            Exception: errors.server_error,
        },
    )
    app.state.settings, app.state.store, app.state.views = settings, store, Views(store)
    app.state.draft, app.state.publishing, app.state.suggestions = draft, publishing, suggestions
    app.state.published, app.state.runs = Published(settings.index), TestRuns(draft) if draft else None
    app.state.search_data = search_data
    app.state.identity, app.state.attempts = identity, Attempts()
    app.state.links = pages.links()
    return app


def _check_roles(routes: list[BaseRoute]) -> None:
    """Refuse a page that nobody has thought about who may see it.

    Raises:
        TypeError: a handler has neither `roles.requires` nor `roles.public`.
    """
    for route in routes:
        if not isinstance(route, Route) or role_of(route.endpoint) is None:
            raise TypeError(f"{route}: its handler says no role: decorate it with roles.requires(…) or roles.public")
