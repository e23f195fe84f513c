"""Login and logout. A form that is sent after the session has ended comes back after the login, to be sent again."""

from __future__ import annotations

import json
from typing import Any

import anyio.to_thread
from anyio import CapacityLimiter
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from console.forms.fields import LABELS
from console.pages import errors
from console.security import accounts, csrf, sessions
from console.security.identity import Identity
from console.security.logins import Attempts
from console.security.paths import local_path
from console.security.roles import public, requires
from console.templating import is_htmx, render
from store.store import Store

_HASHES = CapacityLimiter(2)  # at a time: each takes 64 MiB
_ENDED = "로그인이 끝났어요. 쓰던 내용은 그대로 있어요. 저장을 누르면 다시 로그인할 수 있어요."


async def ask(request: Request) -> Response:
    """The answer to a request without a user: the login page, which keeps the form that was sent."""
    if request.app.state.settings.user_header:
        raise HTTPException(403, "회사 로그인 화면을 거쳐서 들어와 주세요.")
    if is_htmx(request):
        return PlainTextResponse(_ENDED, 401)
    if request.method in csrf.SAFE:
        where = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return RedirectResponse("/login" if where == "/" else _login_for(where), 303)
    return _page(request, 401, sentence=_ENDED, held=await _held(request), held_path=request.url.path)


async def resend(request: Request) -> Response:
    """The answer to a form with the token of a session that is gone: the form, to be looked at and sent again."""
    if is_htmx(request):
        return PlainTextResponse("로그인이 바뀌었어요. 페이지를 새로 열고 다시 해 주세요.", 403)
    if request.url.path == "/login":
        return _page(request, 403, sentence="로그인 화면이 오래됐어요. 다시 입력해 주세요.")
    return _resume(request, 403, await _held(request), request.url.path)


@public
async def show(request: Request) -> Response:
    """The login page."""
    if request.state.user is not None:
        return RedirectResponse(local_path(request.query_params.get("next")), 303)
    return _page(request, 200, next=local_path(request.query_params.get("next")))


@public
async def log_in(request: Request) -> Response:
    """A login."""
    form = await request.form()
    name, password, target, held, held_path = (
        value if isinstance(value := form.get(field, ""), str) else ""
        for field in ("name", "password", "next", "held", "held_path")
    )
    kept: dict[str, Any] = {
        "next": local_path(target),
        "held": held,
        "held_path": local_path(held_path),
        "name": name[:200],
    }
    identity: Identity = request.app.state.identity
    if request.app.state.settings.user_header:
        raise HTTPException(403, "회사 로그인 화면을 거쳐서 들어와 주세요.")
    attempts: Attempts = request.app.state.attempts
    address = request.client.host if request.client else ""
    if wait := attempts.start(name, address):
        minutes = -(-wait // 60)
        sentence = f"로그인을 여러 번 시도했어요. {minutes}분 뒤에 다시 해 주세요."
        return _page(request, 429, {"Retry-After": str(wait)}, sentence=sentence, **kept)
    stamp = await anyio.to_thread.run_sync(_check, request, name, password, limiter=_HASHES)
    if stamp is None:
        return _page(request, 401, sentence="이름이나 비밀번호가 맞지 않아요.", **kept)
    attempts.succeeded(name, address)
    sessions.log_in(request, name, stamp)
    request.state.user = await anyio.to_thread.run_sync(identity.user, request)
    if held:
        return _resume(request, 200, held, kept["held_path"])
    return RedirectResponse(kept["next"], 303)


@requires("read")
async def log_out(request: Request) -> Response:
    """A logout."""
    sessions.log_out(request, request.app.state.identity.ended)
    request.state.user = None
    return RedirectResponse("/login", 303)


@public
async def health(request: Request) -> Response:
    """Whether the console answers and its store can be read; for probes."""
    await anyio.to_thread.run_sync(request.app.state.store.revision)
    return PlainTextResponse("ok\n")


def _check(request: Request, name: str, password: str) -> str | None:
    """The session's stamp where the password is right. Blocks, as long for an account that does not exist."""
    store: Store = request.app.state.store
    identity: Identity = request.app.state.identity
    account = identity.account(name)
    right = accounts.verify(password, store.password_hash(name) if account else None)
    if account is None:  # a name that is no account may be a password, typed into the wrong field: it is not recorded
        return None
    right = right and account.active
    store.record("login" if right else "login refused", "account", account.name, by=account.name)
    return identity.stamp(account) if right else None


async def _held(request: Request) -> str:
    """The fields of a form as JSON, files and token aside."""
    fields = (await request.form()).multi_items()
    return json.dumps([[name, value] for name, value in fields if isinstance(value, str) and name != csrf.FIELD])


def _resume(request: Request, status: int, held: str, path: str) -> Response:
    """The form that was sent, to be looked at and sent again."""
    try:
        fields = [(str(name), str(value)) for name, value in json.loads(held)]
    except (ValueError, TypeError, RecursionError):
        return errors.page(request, 400, "쓰던 내용을 읽을 수 없어요. 브라우저의 뒤로 가기로 돌아가 보세요.")
    return render(request, "resume.html", status, fields=fields, path=path, field_names=LABELS)


def _page(request: Request, status: int, headers: dict[str, str] | None = None, **given: Any) -> Response:
    known = {"sentence": "", "next": "/", "held": "", "held_path": "", "name": ""}
    return render(request, "login.html", status, headers, **{**known, **given})


def _login_for(where: str) -> str:
    from urllib.parse import quote

    return f"/login?next={quote(where, safe='/')}"


routes = [
    Route("/login", show, methods=["GET"]),
    Route("/login", log_in, methods=["POST"]),
    Route("/logout", log_out, methods=["POST"]),
    Route("/health", health, methods=["GET"]),
]
