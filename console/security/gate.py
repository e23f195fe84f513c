"""The gate before every page: host, proxy, size and text of a request, then who sent it, and whether they meant it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio.to_thread
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from console.security import bodies, csrf, hosts
from console.security.identity import Identity
from console.settings import Settings

Answer = Callable[[Request], Awaitable[Response]]
Refuse = Callable[[Request, HTTPException], Awaitable[Response]]
OPEN_TO_ALL = ("/static/", "/health")  # neither a session nor a user is looked for
WITHOUT_USER = ("/login",)


class Entry:
    """Middleware: refuses requests by host, size, time or text; remembers who is at the other end of the connection."""

    def __init__(self, app: ASGIApp, settings: Settings, refuse: Refuse) -> None:
        self._app, self._settings, self._refuse = app, settings, refuse
        self._names = hosts.own_names(settings.listen) | {name.lower() for name in settings.names}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        request.state.peer = scope["client"][0] if scope.get("client") else None
        try:
            if not hosts.known_host(request, self._names, self._settings.listen):
                raise HTTPException(400, "이 주소로는 콘솔을 열 수 없어요. 관리자가 알려 준 주소로 들어와 주세요.")
            scope["malgil.body"] = await bodies.read_body(scope, receive)
        except HTTPException as error:
            await (await self._refuse(request, error))(scope, receive, send)
        except ClientDisconnect:
            return
        else:
            await self._app(scope, bodies.replayed(scope["malgil.body"], receive), send)


class Gate:
    """Middleware: no page without a user, no change without a token of the session.

    Attributes of `request.state` afterwards: `user`.
    """

    def __init__(self, app: ASGIApp, identity: Identity, ask: Answer, resend: Answer, refuse: Refuse) -> None:
        self._app, self._identity = app, identity
        self._ask, self._resend, self._refuse = ask, resend, refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http" or scope["path"].startswith(OPEN_TO_ALL):
            await self._app(scope, receive, send)
            return
        body: bytes = scope["malgil.body"]
        request = Request(scope, bodies.replayed(body, receive))
        try:
            refusal = await self._refusal(request)
        except HTTPException as error:
            refusal = await self._refuse(request, error)
        finally:
            await request.close()
        if refusal is not None:
            await refusal(scope, receive, send)
        else:
            await self._app(scope, bodies.replayed(body, receive), send)

    async def _refusal(self, request: Request) -> Response | None:
        """What is answered in place of the page, or None."""
        request.state.user = await anyio.to_thread.run_sync(self._identity.user, request)
        changes = request.method not in csrf.SAFE
        same_origin = csrf.same_origin(request) if changes else True
        if same_origin is False:
            raise HTTPException(403, "다른 사이트에서 보낸 요청이라 받지 않았어요. 콘솔에서 다시 해 주세요.")
        if request.state.user is None and request.url.path not in WITHOUT_USER:
            return await self._ask(request)
        if changes and not await csrf.is_valid(request):
            if same_origin:  # this console's own page, with the token of a session that is gone
                return await self._resend(request)
            raise HTTPException(403, "확인 값이 맞지 않아 저장하지 않았어요. 페이지를 새로 열고 다시 해 주세요.")
        return None
