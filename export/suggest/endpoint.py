"""Asking an OpenAI-compatible endpoint: a streamed chat completion, bounded in time and size, tried again if busy."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx2
import openai
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.shared_params import ResponseFormatJSONSchema

from export.suggest.errors import SuggestError
from export.suggest.faults import TooLongError, fault
from export.suggest.progress import Progress, Step
from export.suggest.settings import Settings

MOST_CHARACTERS = 64 * 1024  # of an answer's text
MOST_BYTES = 8 * 2**20  # of a response: a token takes some 300 bytes of a stream
CONNECT_SECONDS = 10.0
LOOK_SECONDS = 0.1  # between two looks at whether somebody cancelled
# The form that is asked for. Not all endpoints know json_schema; an answer in another form is read as well.
SCHEMA: ResponseFormatJSONSchema = {
    "type": "json_schema",
    "json_schema": {
        "name": "phrases",
        "strict": True,
        "schema": {
            "type": "object",
            "properties": {"phrases": {"type": "array", "items": {"type": "string"}}},
            "required": ["phrases"],
            "additionalProperties": False,
        },
    },
}
# How endpoints refuse a response_format that they do not know: llama.cpp's server does it with 500.
REFUSALS = (400, 404, 415, 422, 500, 501)
AGAIN = (408, 409, 429)  # and from 500: statuses that the SDK tries again after


@dataclass
class Answer:
    """What a model said.

    Attributes:
        text: without its thoughts, where the endpoint keeps them apart.
        cut: why the answer is not whole; None if it is.
    """

    text: str = ""
    cut: SuggestError | None = None
    parts: list[str] = field(default_factory=list, repr=False)
    size: int = 0
    finish: str = ""
    refusal: str = ""
    chunks: int = 0


class _SchemaRefusedError(openai.OpenAIError):
    """The endpoint does not take the response_format."""


def ask(prompt: str, settings: Settings, progress: Progress, cancelled: threading.Event | None = None) -> Answer:
    """The answer to a prompt. Blocks, and runs an event loop of its own.

    Raises:
        SuggestError: there is none, or somebody set `cancelled`. An answer that broke off is one, with `cut`.
    """
    return asyncio.run(_until_cancelled(prompt, settings, progress, cancelled or threading.Event()))


async def _until_cancelled(prompt: str, settings: Settings, progress: Progress, cancelled: threading.Event) -> Answer:
    task = asyncio.ensure_future(_ask(prompt, settings, progress))
    try:
        while not (await asyncio.wait({task}, timeout=LOOK_SECONDS))[0]:
            if cancelled.is_set():
                raise SuggestError("cancelled", "cancelled")
        return task.result()
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError, SuggestError):
            await task


async def _ask(prompt: str, settings: Settings, progress: Progress) -> Answer:
    answer = Answer()
    try:
        async with asyncio.timeout(settings.timeout), _client(settings, progress) as client:
            await _receive(client, prompt, settings, answer, progress)
        answer.cut = _early(answer, settings)
    except Exception as error:  # the SDK checks no chunk: a strange one ends in errors of any kind
        answer.cut = fault(error, settings)
    answer.text = "".join(answer.parts)
    if not answer.text.strip():
        raise answer.cut or _silent(answer, settings)
    return answer


def _early(answer: Answer, settings: Settings) -> SuggestError | None:
    """Why an answer that the endpoint ended is not whole; None if it is."""
    at = settings.shown
    if answer.size > MOST_CHARACTERS:
        return SuggestError("cut", f"{at} did not stop: only the first {MOST_CHARACTERS} characters were read")
    if answer.finish == "length":
        return SuggestError("cut", f"{at} stopped at its limit of tokens")
    if answer.finish == "content_filter":
        return SuggestError("cut", f"{at} stopped at its content filter")
    if not answer.chunks:
        return fault(ValueError("nothing"), settings)
    return None if answer.finish or answer.refusal else SuggestError("cut", f"{at} broke off its answer")


def _silent(answer: Answer, settings: Settings) -> SuggestError:
    if answer.refusal:
        said = " ".join(answer.refusal.split())[:200]
        return SuggestError("refused", f"{settings.model} refused to answer: {said}", said)
    return SuggestError("empty", f"{settings.model} at {settings.shown} gave an empty answer")


@contextlib.asynccontextmanager
async def _client(settings: Settings, progress: Progress) -> AsyncIterator[openai.AsyncOpenAI]:
    http = _Http(bool(settings.key), progress, settings.timeout)
    async with (
        http,
        openai.AsyncOpenAI(
            api_key=settings.key or "none",
            base_url=settings.url,
            max_retries=settings.tries - 1,
            timeout=http.timeout,
            http_client=http,
        ) as client,
    ):
        yield client


async def _receive(
    client: openai.AsyncOpenAI, prompt: str, settings: Settings, answer: Answer, progress: Progress
) -> None:
    progress(Step("asking"))
    try:
        stream = await _stream(client, prompt, settings, SCHEMA)
    except _SchemaRefusedError:
        progress(Step("plain"))
        stream = await _stream(client, prompt, settings, openai.omit)
    async with stream:
        kind = stream.response.headers.get("content-type", "")
        if "json" in kind:  # an endpoint that does not stream
            _take(answer, ChatCompletion.model_validate_json(await stream.response.aread()), "message")
            return
        if "html" in kind:
            raise ValueError("a page")
        async for chunk in stream:
            _take(answer, chunk, "delta")
            progress(Step("answering", answer.size))
            if answer.size > MOST_CHARACTERS:
                return


async def _stream(
    client: openai.AsyncOpenAI, prompt: str, settings: Settings, form: ResponseFormatJSONSchema | openai.Omit
) -> openai.AsyncStream[ChatCompletionChunk]:
    return await client.chat.completions.create(
        model=settings.model,
        messages=[{"role": "user", "content": prompt}],
        stream=True,
        response_format=form,
        extra_body=dict(settings.extra),
    )


def _take(answer: Answer, chunk: Any, field: str) -> None:
    """Add what a chunk, or a whole completion, has of the answer."""
    answer.chunks += 1
    for choice in chunk.choices[:1]:  # the last chunk may have none
        message = getattr(choice, field)
        text, refusal = getattr(message, "content", None), getattr(message, "refusal", None)
        if isinstance(text, str):
            answer.parts.append(text)
            answer.size += len(text)
        if isinstance(refusal, str):
            answer.refusal += refusal
        answer.finish = str(choice.finish_reason or answer.finish)


class _Http(openai.DefaultAsyncHttpxClient):
    """The SDK's HTTP client, with responses of bounded size, and no header that is not meant for this endpoint."""

    def __init__(self, has_key: bool, progress: Progress, seconds: float) -> None:
        super().__init__(timeout=httpx2.Timeout(seconds, connect=min(CONNECT_SECONDS, seconds)))
        # A few compressed bytes can be gigabytes of text; an endpoint that compresses anyway is refused below.
        self.headers["accept-encoding"] = "identity"
        self._has_key, self._progress = has_key, progress

    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        """Send a request of the SDK.

        Raises:
            _SchemaRefusedError: the endpoint seems not to take the form that was asked for.
        """
        # The SDK takes these from variables that are meant for OpenAI, whichever endpoint it asks.
        for name in ("openai-organization", "openai-project", *(() if self._has_key else ("authorization",))):
            request.headers.pop(name, None)
        response = await super().send(request, **options)
        if not isinstance(response.stream, httpx2.AsyncByteStream):
            return response
        if response.headers.get("content-encoding", "identity") != "identity":
            await response.aclose()
            raise ValueError("compressed")
        response.stream = _Bounded(response.stream)
        if response.status_code in REFUSALS and b'"response_format"' in request.content:
            await response.aclose()
            raise _SchemaRefusedError
        if response.status_code in AGAIN or response.status_code >= 500:
            self._progress(Step("again", detail=f"status {response.status_code}"))
        return response


class _Bounded(httpx2.AsyncByteStream):
    """A response's bytes, up to a bound."""

    def __init__(self, stream: httpx2.AsyncByteStream) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for part in self._stream:
            size += len(part)
            if size > MOST_BYTES:
                raise TooLongError(f"more than {MOST_BYTES} bytes")
            yield part

    async def aclose(self) -> None:
        """Give the connection back."""
        await self._stream.aclose()
