"""Pages of errors: what happened, in one sentence, and a way on. A fault of the server is logged, never shown."""

from __future__ import annotations

import logging
import secrets

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from console.templating import is_htmx, render

_LOG = logging.getLogger("console")
TITLES = {
    400: "요청을 읽을 수 없어요",
    401: "로그인해 주세요",
    403: "할 수 없는 일이에요",
    404: "찾을 수 없어요",
    405: "이 주소로는 할 수 없는 일이에요",
    408: "너무 오래 걸렸어요",
    413: "내용이 너무 커요",
    429: "잠시 뒤에 다시 해 주세요",
    500: "콘솔에 문제가 생겼어요",
    503: "지금은 할 수 없어요",
}
SENTENCES = {
    404: "주소가 바뀌었거나, 다른 사람이 지웠을 수 있어요.",
    405: "주소를 직접 입력했다면 처음 화면에서 다시 시작해 주세요.",
}


def page(request: Request, status: int, sentence: str, headers: dict[str, str] | None = None) -> Response:
    """The page of an error; for htmx and files the sentence alone."""
    if is_htmx(request) or request.url.path.startswith("/static/"):
        return PlainTextResponse(sentence, status, headers)
    title = TITLES.get(status, TITLES[400 if status < 500 else 500])
    return render(request, "error.html", status, headers, title=title, sentence=sentence, status=status)


async def refusal(request: Request, error: HTTPException) -> Response:
    """The answer to what the gate refuses."""
    return page(request, error.status_code, error.detail, dict(error.headers or {}))


async def http_error(request: Request, error: Exception) -> Response:
    """The answer to an HTTPException of a page or of Starlette, whose own details are English."""
    assert isinstance(error, HTTPException)
    own = not error.detail.isascii()
    sentence = (
        error.detail if own else SENTENCES.get(error.status_code, "다시 해 보고, 계속되면 관리자에게 알려 주세요.")
    )
    return page(request, error.status_code, sentence, dict(error.headers or {}))


async def not_found(request: Request, error: Exception) -> Response:
    """The answer where the store has no such entry."""
    return page(request, 404, SENTENCES[404])


async def server_error(request: Request, error: Exception) -> Response:
    """The answer to a fault of the server: a number, under which the log has the rest."""
    number = secrets.token_hex(4)
    _LOG.error("%s %s failed, number %s", request.method, request.url.path, number)
    return page(request, 500, f"내용은 저장되지 않았을 수 있어요. 관리자에게 번호 {number}를 알려 주세요.")
