"""Tensors over HTTP, by httpx: the KServe v2 protocol with Triton's binary tensor data extension.

The body is a JSON header and then the tensors as bytes, little-endian, end to end; the header
`Inference-Header-Content-Length` says where the JSON ends. Plain JSON would be lossy here: padding scores are
-Infinity, which JSON has no word for, and FP32 would go through decimal text.
"""

from __future__ import annotations

import asyncio
import json
import re
import ssl
from collections.abc import Coroutine, Sequence
from typing import Any

import httpx
import numpy as np
from tritonclient.utils import (
    deserialize_bytes_tensor,
    np_to_triton_dtype,
    serialize_byte_tensor,
    triton_to_np_dtype,
)

from malgil._access import HTTP_KEY, Tls, ssl_context, trace_headers
from malgil._errors import MalgilError, ServerError, Unavailable, from_status, no_tls, unreachable
from malgil._retry import Deadline
from malgil._tensors import Tensors

_HEADER_LENGTH = "Inference-Header-Content-Length"

# Answers are a few kilobytes, and Triton gzips whatever it may: not worth the server's time.
_HEADERS = {"Content-Type": "application/octet-stream", "Accept-Encoding": "identity"}

# How many requests run at once is the caller's choice (`concurrency`): no second limit here.
_LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=256)

# 429, 502 and 504 come from proxies on the way; Triton uses the others.
_CODES = {400: "INVALID_ARGUMENT", 413: "INVALID_ARGUMENT", 404: "NOT_FOUND", 502: "UNAVAILABLE", 503: "UNAVAILABLE"}
_CODES |= {401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 429: "RESOURCE_EXHAUSTED", 504: "DEADLINE_EXCEEDED"}
# nginx's own: a client certificate that is not trusted, one that is missing, plain HTTP where TLS is spoken.
_CODES |= {495: "UNAVAILABLE", 496: "UNAVAILABLE", 497: "UNAVAILABLE"}

# As Python says it: "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: … (_ssl.c:1006)".
_TLS_FAILURE = re.compile(r"\[SSL[^\]]*\] (.*?)(?: \(_ssl\.c:\d+\))?$")

# What a call may raise; Python's own where the server refuses our certificate after the handshake.
_BROKEN = (httpx.TransportError, httpx.DecodingError, ssl.SSLError)


class HttpTransport:
    """httpx's blocking client, which is thread-safe.

    httpx knows time limits for each phase of a call, not for the whole: connecting, sending and waiting each
    get what is left of the deadline when the attempt starts, so that a call slow in all of them overruns it.
    """

    def __init__(self, url: str, tls: Tls | None, key: str | None) -> None:
        self._url = url
        self._extensions = _extensions(tls)
        self._client = httpx.Client(limits=_LIMITS, headers=_headers(key), verify=_verify(tls))

    def infer(self, model: str, inputs: Tensors, outputs: Sequence[str], deadline: Deadline) -> Tensors:
        """See Transport.infer."""
        body, headers = encode(inputs, outputs, deadline.left())
        try:
            response = self._client.post(
                _address(self._url, model),
                content=body,
                headers=headers | trace_headers(),
                timeout=deadline.left(),
                extensions=self._extensions,
            )
        except _BROKEN as error:
            raise _translate(error, self._url, deadline) from None
        return _read(response)

    def close(self) -> None:
        """See Transport.close."""
        self._client.close()


class AsyncHttpTransport:
    """httpx's asyncio client; here the deadline bounds the whole call."""

    def __init__(self, url: str, tls: Tls | None, key: str | None) -> None:
        self._url = url
        self._extensions = _extensions(tls)
        self._client = httpx.AsyncClient(limits=_LIMITS, headers=_headers(key), verify=_verify(tls), timeout=None)

    async def infer(self, model: str, inputs: Tensors, outputs: Sequence[str], deadline: Deadline) -> Tensors:
        """See Transport.infer."""
        body, headers = encode(inputs, outputs, deadline.left())
        call = self._client.post(
            _address(self._url, model), content=body, headers=headers | trace_headers(), extensions=self._extensions
        )
        try:
            response = await _within(deadline, call)
        except _BROKEN as error:
            raise _translate(error, self._url, deadline) from None
        return _read(response)

    async def close(self) -> None:
        """See Transport.close."""
        await self._client.aclose()


def _headers(key: str | None) -> dict[str, str]:
    return _HEADERS if key is None else _HEADERS | {HTTP_KEY: key}


def _verify(tls: Tls | None) -> ssl.SSLContext | bool:
    return True if tls is None else ssl_context(tls)


def _extensions(tls: Tls | None) -> dict[str, Any]:
    """httpx's: what the server is called in the handshake, and so in its certificate."""
    return {"sni_hostname": tls.server_name} if tls and tls.server_name else {}


def encode(inputs: Tensors, outputs: Sequence[str], timeout: float) -> tuple[bytes, dict[str, str]]:
    """The body of an inference request and the headers it needs; it is of no use after `timeout` seconds."""
    described, blobs = [], []
    for name, array in inputs.items():
        kind = np_to_triton_dtype(array.dtype)
        blob = serialize_byte_tensor(array).item() if kind == "BYTES" else array.tobytes()
        size = {"binary_data_size": len(blob)}
        described.append({"name": name, "datatype": kind, "shape": list(array.shape), "parameters": size})
        blobs.append(blob)
    asked = [{"name": name, "parameters": {"binary_data": True}} for name in outputs]
    parameters = {"timeout": int(timeout * 1e6)}  # microseconds: the server refuses what it cannot answer in time
    header = json.dumps({"parameters": parameters, "inputs": described, "outputs": asked}).encode()
    return b"".join([header, *blobs]), {_HEADER_LENGTH: str(len(header))}


def decode(body: bytes, header_length: int) -> Tensors:
    """The tensors in the body of an answer. Raises ServerError where it is not what the extension says."""
    tensors, offset = {}, header_length
    try:
        for output in json.loads(body[:header_length])["outputs"]:
            end = offset + output["parameters"]["binary_data_size"]
            blob, offset = body[offset:end], end
            if output["datatype"] == "BYTES":
                array = deserialize_bytes_tensor(blob)
            else:
                array = np.frombuffer(blob, triton_to_np_dtype(output["datatype"]))
            tensors[output["name"]] = array.reshape(output["shape"])
    except Exception as error:
        raise ServerError(f"the answer is not binary tensor data: {error!r}") from error
    return tensors


async def _within(deadline: Deadline, call: Coroutine[Any, Any, httpx.Response]) -> httpx.Response:
    """What the call returns, if in time. Not asyncio.wait_for: before Python 3.12 a cancellation is lost there
    when it comes together with the result, and whoever cancelled finds the task still at work.
    """
    task = asyncio.ensure_future(call)
    try:
        await asyncio.wait({task}, timeout=deadline.left())
        if task.done():
            return task.result()
    finally:
        if not task.done():
            task.cancel()
    await asyncio.wait({task})  # it gives its connection back
    raise deadline.exceeded()


def _address(url: str, model: str) -> str:
    return f"{url}/v2/models/{model}/infer"


def _read(response: httpx.Response) -> Tensors:
    if response.status_code == 200:
        return decode(response.content, int(response.headers.get(_HEADER_LENGTH, len(response.content))))
    raise from_status(_CODES.get(response.status_code, "INTERNAL"), _sentence(response))


def _sentence(response: httpx.Response) -> str:
    """Triton's {"error": "…"}, or for a proxy's page the bare status: nobody wants its HTML."""
    try:
        answer: Any = response.json()
        return str(answer["error"])
    except (ValueError, KeyError, TypeError):
        return f"HTTP status {response.status_code} {response.reason_phrase}".rstrip()


def _translate(error: Exception, url: str, deadline: Deadline) -> MalgilError:
    if isinstance(error, httpx.TimeoutException):
        return deadline.exceeded()
    cause: BaseException | None = error
    while cause:  # the layers of the asyncio client leave the reason to the innermost
        if verdict := _TLS_FAILURE.search(str(cause)):
            return no_tls(url, verdict[1].removeprefix("certificate verify failed: "))
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, httpx.ConnectError):
        return unreachable(url, str(error).split("] ", 1)[-1])  # without "[Errno 111] "
    # A server that misses our certificate may hang up before its alert is read.
    hint = "; over TLS: does it ask for a client certificate that it trusts?" if url.startswith("https:") else ""
    return Unavailable(f"the connection to {url} broke: {str(error) or type(error).__name__}{hint}")
