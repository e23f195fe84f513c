"""Inference requests over HTTP, sent by httpx: the KServe v2 protocol with Triton's binary tensor data extension.

The body is a JSON header and then the tensors as bytes, little-endian, end to end; the header
`Inference-Header-Content-Length` gives the length of the JSON. In plain JSON, FP32 would be converted to decimal text
and back.
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

# Without "identity" Triton would compress answers, which are a few kilobytes: not worth the server's time.
_HEADERS = {"Content-Type": "application/octet-stream", "Accept-Encoding": "identity"}

# The caller limits the requests that run at once (`concurrency`); httpx must not limit them again.
_LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=256)

# 429, 502 and 504 come from proxies in between, the others from Triton.
_CODES = {400: "INVALID_ARGUMENT", 413: "INVALID_ARGUMENT", 404: "NOT_FOUND", 502: "UNAVAILABLE", 503: "UNAVAILABLE"}
_CODES |= {401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 429: "RESOURCE_EXHAUSTED", 504: "DEADLINE_EXCEEDED"}
# nginx: a client certificate that is not trusted, one that is missing, plain HTTP on a TLS port.
_CODES |= {495: "UNAVAILABLE", 496: "UNAVAILABLE", 497: "UNAVAILABLE"}

# Python's message: "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: … (_ssl.c:1006)".
_TLS_FAILURE = re.compile(r"\[SSL[^\]]*\] (.*?)(?: \(_ssl\.c:\d+\))?$")

# What a call may raise; ssl.SSLError where the server refuses the client's certificate after the handshake.
_BROKEN = (httpx.TransportError, httpx.DecodingError, ssl.SSLError)


class HttpTransport:
    """Blocking transport over httpx; `infer` is thread-safe.

    httpx limits the time of each phase of a call, not of the whole: connecting, sending and waiting may each take
    what is left of the deadline when the attempt starts, so a call that is slow in all of them takes longer.
    """

    def __init__(self, url: str, tls: Tls | None, key: str | None) -> None:
        self._url = url
        self._extensions = _extensions(tls)
        self._client = httpx.Client(limits=_LIMITS, headers=_headers(key), verify=_verify(tls))

    def infer(self, model: str, inputs: Tensors, outputs: Sequence[str], deadline: Deadline) -> Tensors:
        """The requested outputs of `model`; raises MalgilError."""
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
        """Close the connections."""
        self._client.close()


class AsyncHttpTransport:
    """Asyncio transport over httpx; the deadline bounds the whole call."""

    def __init__(self, url: str, tls: Tls | None, key: str | None) -> None:
        self._url = url
        self._extensions = _extensions(tls)
        self._client = httpx.AsyncClient(limits=_LIMITS, headers=_headers(key), verify=_verify(tls), timeout=None)

    async def infer(self, model: str, inputs: Tensors, outputs: Sequence[str], deadline: Deadline) -> Tensors:
        """The requested outputs of `model`; raises MalgilError."""
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
        """Close the connections."""
        await self._client.aclose()


def _headers(key: str | None) -> dict[str, str]:
    return _HEADERS if key is None else _HEADERS | {HTTP_KEY: key}


def _verify(tls: Tls | None) -> ssl.SSLContext | bool:
    """httpx's `verify`. Without TLS no certificates are read: that takes 20 ms, and a fork in its midst can hang."""
    return False if tls is None else ssl_context(tls)


def _extensions(tls: Tls | None) -> dict[str, Any]:
    """httpx's request extensions: the server name for the handshake, which its certificate must have."""
    return {"sni_hostname": tls.server_name} if tls and tls.server_name else {}


def encode(inputs: Tensors, outputs: Sequence[str], timeout: float) -> tuple[bytes, dict[str, str]]:
    """The body and headers of an inference request, which the server may refuse if it takes longer than `timeout` s."""
    described, blobs = [], []
    for name, array in inputs.items():
        kind = np_to_triton_dtype(array.dtype)
        blob = serialize_byte_tensor(array).item() if kind == "BYTES" else array.tobytes()
        size = {"binary_data_size": len(blob)}
        described.append({"name": name, "datatype": kind, "shape": list(array.shape), "parameters": size})
        blobs.append(blob)
    asked = [{"name": name, "parameters": {"binary_data": True}} for name in outputs]
    parameters = {"timeout": int(timeout * 1e6)}  # Triton's unit is the microsecond
    header = json.dumps({"parameters": parameters, "inputs": described, "outputs": asked}).encode()
    return b"".join([header, *blobs]), {_HEADER_LENGTH: str(len(header))}


def decode(body: bytes, header_length: int) -> Tensors:
    """The tensors in the body of an answer. Raises ServerError where it is not binary tensor data."""
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
    """The response of `call`, or DeadlineExceeded.

    asyncio.wait_for would not do: before Python 3.12 it loses a cancellation that comes together with the result.
    """
    task = asyncio.ensure_future(call)
    try:
        await asyncio.wait({task}, timeout=deadline.left())
        if task.done():
            return task.result()
    finally:
        if not task.done():
            task.cancel()
    await asyncio.wait({task})  # until it has given its connection back
    raise deadline.exceeded()


def _address(url: str, model: str) -> str:
    return f"{url}/v2/models/{model}/infer"


def _read(response: httpx.Response) -> Tensors:
    if response.status_code == 200:
        return decode(response.content, int(response.headers.get(_HEADER_LENGTH, len(response.content))))
    raise from_status(_CODES.get(response.status_code, "INTERNAL"), _sentence(response))


def _sentence(response: httpx.Response) -> str:
    """The message in Triton's {"error": "…"}; for anything else, such as a proxy's HTML page, the HTTP status."""
    try:
        answer: Any = response.json()
        return str(answer["error"])
    except (ValueError, KeyError, TypeError):
        return f"HTTP status {response.status_code} {response.reason_phrase}".rstrip()


def _translate(error: Exception, url: str, deadline: Deadline) -> MalgilError:
    if isinstance(error, httpx.TimeoutException):
        return deadline.exceeded()
    cause: BaseException | None = error
    while cause:  # only the innermost exception of the asyncio client has the reason
        if failure := _TLS_FAILURE.search(str(cause)):
            return no_tls(url, failure[1].removeprefix("certificate verify failed: "))
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, httpx.ConnectError):
        return unreachable(url, str(error).split("] ", 1)[-1])  # without "[Errno 111] "
    # A server that requires a client certificate may close the connection before its TLS alert is read.
    hint = "; over TLS: does it require a client certificate?" if url.startswith("https:") else ""
    return Unavailable(f"the connection to {url} broke: {str(error) or type(error).__name__}{hint}")
