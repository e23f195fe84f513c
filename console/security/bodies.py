"""Bounds of what is sent: size, time, and text that is UTF-8."""

from __future__ import annotations

from urllib.parse import unquote_to_bytes

import anyio
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope

MAX_BODY = 1 << 20  # bytes
MAX_LOGIN = 2 * MAX_BODY  # the login page carries a form that was sent after the session had ended
SECONDS = 30.0
_BAD_TEXT = "보낸 글에 읽을 수 없는 글자가 있어요. 다른 곳에서 복사했다면 직접 입력해 주세요."


async def read_body(scope: Scope, receive: Receive) -> bytes:
    """The whole body of a request.

    Raises:
        HTTPException: 413 larger than the bound, 408 too slow, 400 text that is not UTF-8 or has NUL.
    """
    bound = MAX_LOGIN if scope["path"] == "/login" else MAX_BODY
    headers = dict(scope["headers"])
    declared = headers.get(b"content-length", b"0")
    if declared.isdigit() and int(declared) > bound:
        raise _too_large(bound)
    body = bytearray()
    with anyio.move_on_after(SECONDS) as reading:
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > bound:
                raise _too_large(bound)
    if reading.cancelled_caught:
        raise HTTPException(408, "보내는 데 너무 오래 걸렸어요. 연결을 확인하고 다시 보내 주세요.")
    form = headers.get(b"content-type", b"").startswith(b"application/x-www-form-urlencoded")
    _check_text(unquote_to_bytes(bytes(body)) if form else bytes(body))
    _check_text(unquote_to_bytes(scope["query_string"]))
    return bytes(body)


def replayed(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives a body which was read already, and then what comes after it."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def _check_text(content: bytes) -> None:
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        raise HTTPException(400, _BAD_TEXT) from None
    if "\0" in text:
        raise HTTPException(400, _BAD_TEXT)


def _too_large(bound: int) -> HTTPException:
    # The rest of the body is not read: the connection ends with the answer.
    return HTTPException(413, f"보낸 내용이 너무 커요. {bound >> 20} MiB까지 받아요.", {"Connection": "close"})
