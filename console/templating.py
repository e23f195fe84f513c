"""Templates: Jinja2, everything escaped, with the user, the CSRF token and the active page in each."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse

from console.security import csrf
from console.security.roles import KOREAN, User

FOLDER = Path(__file__).parent
STATIC = FOLDER / "static"
# Sentences that a page shows after a redirect to `?done=KEY`: the address says which, never what.
DONE: dict[str, str] = {
    "saved": "저장했어요.",
    "unchanged": "바뀐 내용이 없어요.",
    "created": "새로 만들었어요.",
    "deleted": "지웠어요. 이력에서 되돌릴 수 있어요.",
    "restored": "되돌렸어요.",
    "opened": "열었어요. 게시하면 검색에 나와요.",
    "closed": "닫았어요. 게시하면 검색에서 빠져요.",
    "accepted": "문장을 넣었어요. 게시하면 검색에 쓰여요.",
    "null": "앱에 없는 것에 넣었어요. 게시하면 검색에 쓰여요.",
    "rejected": "버렸어요. 이 서비스에는 다시 보여 주지 않아요.",
}


@dataclass(frozen=True)
class Link:
    """An entry of the main menu; menus are in the order of `order`."""

    title: str
    href: str
    order: int


def render(
    request: Request, template: str, status_code: int = 200, headers: Mapping[str, str] | None = None, **context: Any
) -> HTMLResponse:
    """A page, or a part of one for htmx.

    In the template: what is given, and `request`, `user` (None before a login), `may(role)`, `csrf_token`,
    `csrf_input()`, `links`, `active` (the href of the link that the path starts with), `done` (a sentence, or None).
    """
    token = csrf.token(request) if "session" in request.scope else ""
    user: User | None = getattr(request.state, "user", None)
    links: list[Link] = request.app.state.links
    path = request.url.path
    known = {
        "request": request,
        "user": user,
        "role_name": KOREAN[user.role] if user else "",
        "may": user.may if user else lambda _: False,
        "csrf_token": token,
        "csrf_input": lambda: Markup('<input type="hidden" name="{}" value="{}">').format(csrf.FIELD, token),
        "csrf_headers": json.dumps({csrf.HEADER: token}),
        "links": links,
        "active": next((link.href for link in links if path == link.href or path.startswith(link.href + "/")), ""),
        "done": DONE.get(request.query_params.get("done", "")),
    }
    html = environment().get_template(template).render({**known, **context})
    return HTMLResponse(html, status_code, dict(headers or {}))


def is_htmx(request: Request) -> bool:
    """Whether htmx asks for a part of a page. A page that the browser goes back to is asked for whole."""
    return "hx-request" in request.headers and "hx-history-restore-request" not in request.headers


@functools.cache
def environment() -> jinja2.Environment:
    """The templates' environment: an unknown name is an error, in every template all is escaped."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals["static"] = static
    made.filters["when"] = when
    made.filters["day"] = lambda at_ms: f"{datetime.fromtimestamp(at_ms / 1000, timezone.utc):%Y-%m-%d}"
    made.filters["iso"] = lambda moment: moment.isoformat(timespec="seconds")
    return made


@functools.cache
def static(name: str) -> str:
    """The address of a file in static/, with its checksum: another version has another address."""
    return f"/static/{name}?v={hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]}"


def when(moment: datetime) -> str:
    """A time as people in Korea read it, of this machine's time zone."""
    local = moment.astimezone()
    days = (datetime.now(timezone.utc).astimezone().date() - local.date()).days
    day = {0: "오늘", 1: "어제"}.get(days, f"{local:%Y-%m-%d}")
    return f"{day} {local:%H:%M}"
