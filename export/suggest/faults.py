"""What went wrong at an endpoint, as one sentence and a code. The key is in none of them."""

from __future__ import annotations

import os
import ssl

import httpx2
import openai

from export.suggest.errors import Code, SuggestError
from export.suggest.settings import KEY, MODEL, Settings

_SHOWN = 200  # characters of what the endpoint said


class TooLongError(Exception):
    """An answer of more bytes than are read."""


def fault(error: BaseException, settings: Settings) -> SuggestError:
    """The error that a caller sees instead of one of the HTTP client's, the SDK's or the decoder's."""
    if isinstance(error, SuggestError):
        return error
    said = _said(error, settings) if isinstance(error, openai.APIError) else ""
    code, sentence = _named(error, settings)
    return SuggestError(code, f"{settings.shown} {sentence}{f': {said}' if said else ''}", said)


def _named(error: BaseException, settings: Settings) -> tuple[Code, str]:
    """The code of an error, and what the endpoint did."""
    named: tuple[Code, str] = "protocol", "sent an answer that is no chat completion; does its address end in /v1?"
    match error:
        case openai.APIStatusError():
            named = _status(error, settings)
        case TimeoutError() | openai.APITimeoutError() | httpx2.TimeoutException():
            named = "timeout", f"did not finish its answer within {settings.timeout:g} s"
        case openai.APIConnectionError() | httpx2.HTTPError() | ssl.SSLError():
            named = _connection(error.__cause__ or error)
        case openai.APIError():
            named = "server", "failed in the middle of its answer"
        case UnicodeDecodeError():
            named = "encoding", "sent an answer that is not UTF-8"
        case TooLongError():
            named = "protocol", f"sent an answer without an end: {error}"
    return named


def _status(error: openai.APIStatusError, settings: Settings) -> tuple[Code, str]:
    status = error.status_code
    tries = "1 try" if settings.tries == 1 else f"{settings.tries} tries"
    named: tuple[Code, str] = "refused", f"refused the request with status {status}"
    if status in (401, 403):
        named = "key", f"refused the key in {KEY}" if settings.key else f"wants a key: set {KEY}"
    elif status == 404:
        named = "model", f"has no model {settings.model} ({MODEL}), or no such path"
    elif status == 429:
        wait = error.response.headers.get("retry-after", "")[:20]
        asked = f", and asks to wait {wait} s" if wait.isdigit() else ""
        named = "busy", f"is busy, or its quota is used up{asked}; {tries} at most were made"
    elif status in (408, 504):
        named = "timeout", f"found no answer in time (status {status})"
    elif status >= 500:
        named = "server", f"failed with status {status} in {tries}"
    return named


def _connection(cause: BaseException) -> tuple[Code, str]:
    if not isinstance(cause, httpx2.ConnectError | httpx2.UnsupportedProtocol | httpx2.ProxyError | ssl.SSLError):
        return "cut", "broke off its answer"
    root = _root(cause)
    reason = str(root)
    if isinstance(root, OSError) and root.strerror:
        # asyncio's text for a refused connection says less than the system's; names and TLS have numbers of their own.
        of_system = root.errno is not None and root.errno > 0 and not isinstance(root, ssl.SSLError)
        reason = os.strerror(root.errno) if of_system and root.errno else root.strerror
    return "unreachable", f"cannot be reached: {reason[:_SHOWN]}"


def _root(error: BaseException) -> BaseException:
    """The error at the end of a chain of causes."""
    for _ in range(10):
        following = error.__cause__ or error.__context__
        if following is None:
            break
        error = following
    return error


def _said(error: openai.APIError, settings: Settings) -> str:
    """What the endpoint said, in one line, cut, without the key; "" if it said nothing, or a page of HTML."""
    body = error.body
    text = body if isinstance(body, str) else ""
    if isinstance(body, dict):
        message = body.get("message", body.get("detail", body.get("error")))
        text = message if isinstance(message, str) else ""
    if text.lstrip().startswith("<"):
        return ""
    said = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    if settings.key:
        said = said.replace(settings.key, "…")
    return said if len(said) <= _SHOWN else f"{said[:_SHOWN]}…"
