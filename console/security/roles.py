"""Roles: 읽기 (read), 편집 (edit), 게시 (publish), each of which may do what those before it may."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from store.types import ROLES, Role

KOREAN: dict[Role, str] = {"read": "읽기", "edit": "편집", "publish": "게시"}
Handler = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True)
class User:
    """Who sent a request.

    Attributes:
        name: the name of the account, as the history shows it.
        role: what it may do.
        way: how it was recognised: "session" (password), "proxy" (header of a proxy), "local" (loopback, no accounts).
    """

    name: str
    role: Role
    way: Literal["session", "proxy", "local"]

    def may(self, role: Role) -> bool:
        """Whether the user's role is this one or a later one."""
        return ROLES.index(self.role) >= ROLES.index(role)


def requires(role: Role) -> Callable[[Handler], Handler]:
    """Decorate a handler: 403 for a user with a lesser role. Without it the application refuses to start."""

    def decorate(handler: Handler) -> Handler:
        @functools.wraps(handler)
        async def checked(request: Request) -> Response:
            user: User | None = getattr(request.state, "user", None)
            if user is None or not user.may(role):
                has = f" 지금은 ‘{KOREAN[user.role]}’ 권한이에요." if user else ""
                raise HTTPException(403, f"‘{KOREAN[role]}’ 권한이 있어야 할 수 있어요.{has}")
            return await _closing(handler, request)

        return _marked(checked, role)

    return decorate


def public(handler: Handler) -> Handler:
    """Decorate a handler that answers anybody: the login page, the health check."""

    @functools.wraps(handler)
    async def answered(request: Request) -> Response:
        return await _closing(handler, request)

    return _marked(answered, "public")


def role_of(endpoint: Any) -> str | None:
    """The role that a handler requires, "public", or None where its decorator is missing."""
    role: str | None = getattr(endpoint, "required_role", None)
    return role


async def _closing(handler: Handler, request: Request) -> Response:
    """The handler's answer; files that came with the request are closed."""
    try:
        return await handler(request)
    finally:
        await request.close()


def _marked(handler: Handler, role: str) -> Handler:
    handler.required_role = role  # type: ignore[attr-defined]
    return handler
