"""No page is open because somebody forgot to close it."""

from __future__ import annotations

from types import ModuleType

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from console import pages
from console.app import make_app
from console.security.roles import User, role_of
from console.settings import Settings
from store.store import Store
from tests.console.conftest import SECRET


def test_a_page_whose_handler_says_no_role_does_not_start(
    settings: Settings, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def forgotten(request: Request) -> Response:
        return PlainTextResponse("secret")

    page = ModuleType("page")
    page.routes = [Route("/forgotten", forgotten)]  # type: ignore[attr-defined]
    monkeypatch.setattr(pages, "PAGES", (*pages.PAGES, page))
    with pytest.raises(TypeError, match="/forgotten"):
        make_app(settings, store, SECRET)


def test_what_changes_something_needs_a_role_that_may_change() -> None:
    routes = [route for page in pages.PAGES for route in page.routes]
    changing = [route for route in routes if route.methods & {"POST", "PUT", "PATCH", "DELETE"}]
    for_readers = {route.path for route in changing if role_of(route.endpoint) not in ("edit", "publish")}
    # A run of a test set is a search: it changes nothing.
    assert for_readers == {"/login", "/logout", "/search/tests/run", "/search/runs/{id:str}/cancel"}
    assert {route.path for route in routes if role_of(route.endpoint) == "public"} == {"/login", "/health"}


def test_each_role_may_do_what_those_before_it_may() -> None:
    may = {
        role: [User("a", role, "session").may(wanted) for wanted in ("read", "edit", "publish")]
        for role in ("read", "edit", "publish")
    }
    assert may == {"read": [True, False, False], "edit": [True, True, False], "publish": [True, True, True]}
