"""Sessions: a signed cookie that holds who logged in, when, and a stamp of the password; eight hours at most."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from typing import Any

from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

LIFETIME = 8 * 3600  # seconds
COOKIE = "malgil_console"


@dataclass(frozen=True)
class Login:
    """What a session says of a login."""

    name: str
    stamp: str
    number: str


class Sessions:
    """Starlette's signed cookie, with `Secure` where the request came by https.

    The cookie is the session: what ended before its time (a logout) is remembered here until then.
    """

    def __init__(self, app: ASGIApp, secret: str) -> None:
        plain: dict[str, Any] = {"session_cookie": COOKIE, "max_age": LIFETIME, "same_site": "lax"}
        self._http = SessionMiddleware(app, secret, **plain)
        self._https = SessionMiddleware(app, secret, https_only=True, **plain)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request with its session."""
        await (self._https if scope.get("scheme") == "https" else self._http)(scope, receive, send)


class Ended:
    """The numbers of sessions that were logged out, until they would have ended by themselves."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}

    def add(self, number: str) -> None:
        """End a session."""
        now = time.time()
        self._until = {known: until for known, until in self._until.items() if until > now}
        self._until[number] = now + LIFETIME

    def __contains__(self, number: str) -> bool:
        return number in self._until


def log_in(request: Request, name: str, stamp: str) -> None:
    """Begin a session anew: nothing of the one before the login is kept, its CSRF token neither."""
    request.session.clear()
    request.session.update({"name": name, "stamp": stamp, "at": int(time.time()), "number": secrets.token_urlsafe(12)})


def log_out(request: Request, ended: Ended) -> None:
    """End the session, in this browser and wherever else its cookie is."""
    if login := current(request, ended):
        ended.add(login.number)
    request.session.clear()


def current(request: Request, ended: Ended) -> Login | None:
    """The login of the session, or None where there is none, or it has ended."""
    session = request.session
    name, stamp, at, number = (session.get(key) for key in ("name", "stamp", "at", "number"))
    if not (isinstance(name, str) and isinstance(stamp, str) and isinstance(number, str) and isinstance(at, int)):
        return None
    if not 0 <= time.time() - at < LIFETIME or number in ended:
        return None
    return Login(name, stamp, number)
