"""Requests by other sites in a user's name (CSRF): each change needs a token of the session, and its own origin."""

from __future__ import annotations

import hmac
import secrets
from urllib.parse import urlsplit

from starlette.requests import Request

FIELD, HEADER = "csrf_token", "X-CSRF-Token"
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


def token(request: Request) -> str:
    """The token of the session, made where there is none yet."""
    known = request.session.get("csrf")
    if not isinstance(known, str):
        known = request.session["csrf"] = secrets.token_urlsafe(24)
    return known


async def is_valid(request: Request) -> bool:
    """Whether the token in the header or in the form is the session's."""
    sent: object = request.headers.get(HEADER)
    if sent is None:
        async with request.form() as form:  # closes the files that were uploaded
            sent = form.get(FIELD)
    known = request.session.get("csrf")
    if not isinstance(sent, str) or not isinstance(known, str):
        return False
    return hmac.compare_digest(sent.encode(), known.encode())


def same_origin(request: Request) -> bool | None:
    """Whether the console's own page sent the request, as the browser says; None where it does not say."""
    site = request.headers.get("sec-fetch-site")
    if site is not None and site not in ("same-origin", "none"):
        return False
    origin = request.headers.get("origin")
    if origin is not None:
        try:
            return urlsplit(origin).netloc.lower() == request.headers.get("host", "").lower()
        except ValueError:
            return False
    return None if site is None else True
