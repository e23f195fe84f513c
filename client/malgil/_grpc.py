"""Inference requests over gRPC, sent by tritonclient."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from concurrent.futures import Future, wait
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any

from tritonclient.grpc import InferenceServerClient, InferInput, InferRequestedOutput, InferResult
from tritonclient.grpc.aio import InferenceServerClient as AsyncInferenceServerClient
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from malgil._access import GRPC_KEY, Tls, ssl_context, trace_headers
from malgil._errors import MalgilError, from_status, no_tls, unreachable
from malgil._retry import Deadline
from malgil._tensors import Tensors

_CHANNEL_ARGS = [
    ("grpc.max_receive_message_length", -1),
    # Where a name has several addresses, such as a headless Service of Kubernetes, requests go to each in turn.
    # By default gRPC would send all of them over one connection to one replica.
    ("grpc.lb_policy_name", "round_robin"),
    # By default gRPC's pauses between connection attempts grow to two minutes, in which every call fails at once:
    # clients would see a restarted server as down long after it is up.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
]

# How gRPC's messages begin where no connection was made, so that the request cannot have been sent.
_NEVER_SENT = (
    "failed to connect",
    "errors resolving",
    "DNS resolution failed",
    "connections to all backends",
)

# Parts of gRPC's messages for a failed handshake, and the reason to report. A server that requires a client
# certificate closes the connection without a reason.
_TLS_FAILURES = {
    "Hostname Verification": "the server's certificate is for another name",
    "WRONG_VERSION_NUMBER": "the server does not speak TLS",
    "Socket closed": "the server closed the connection; does it require a client certificate?",
    "handshake failed": "the handshake failed",
}
# Parts of gRPC's messages for what a server that speaks TLS does to a client that does not.
_NO_GRPC = ("Socket closed", "http1.x server")
_BAD_CERTIFICATE = re.compile(r"CERTIFICATE_VERIFY_FAILED: ([^:;\]]+)")


# Triton 2.51 may crash when a call to an ensemble is cancelled, or reaches its gRPC deadline, just as it is answered
# (Triton's issues 7368 and 8034; 6 crashes in 41,000 such calls). So a call whose caller has given up is not
# cancelled: its gRPC deadline comes this many seconds after the caller's.
GRACE = 10.0
LINGER = 1.0  # seconds that close() waits for such calls


class GrpcTransport:
    """Blocking transport over one gRPC channel; `infer` is thread-safe."""

    def __init__(self, target: str, tls: Tls | None, key: str | None) -> None:
        self._target = target
        self._tls = tls
        self._headers = _key_header(key)
        self._client = InferenceServerClient(target, **_channel(tls))
        self._underway: set[Future[InferResult]] = set()

    def infer(self, model: str, inputs: Tensors, outputs: Sequence[str], deadline: Deadline) -> Tensors:
        """The requested outputs of `model`; raises MalgilError. A call that runs out of time is not cancelled."""
        answer: Future[InferResult] = Future()

        def finish(result: InferResult | None, error: InferenceServerException | None) -> None:  # called by keyword
            if error:
                answer.set_exception(error)
            else:
                answer.set_result(result)

        try:
            self._client.async_infer(
                model,
                _infer_inputs(inputs),
                callback=finish,
                outputs=_requested_outputs(outputs),
                headers=self._headers | trace_headers(),
                **_times(deadline),
            )
            self._underway.add(answer)
            return _tensors(answer.result(deadline.left()))
        except InferenceServerException as error:
            raise _translate(error, self._target, self._tls is not None, deadline) from None
        except FutureTimeoutError:
            raise deadline.exceeded() from None
        finally:
            answer.add_done_callback(self._underway.discard)

    def close(self) -> None:
        """Close the channel, after at most LINGER seconds in which calls under way may finish."""
        wait(tuple(self._underway), LINGER)
        self._client.close()


class GrpcEventsTransport(GrpcTransport):
    """Blocking transport for events, in the caller's thread alone.

    Since Python 3.12 no thread starts while the interpreter exits, which is when the last events are sent. A call that
    runs out of time is cancelled: Triton's crash concerns ensembles, and the model of events is none.
    """

    def infer(self, model: str, inputs: Tensors, outputs: Sequence[str], deadline: Deadline) -> Tensors:
        """The requested outputs of `model`; raises MalgilError."""
        try:
            answer = self._client.infer(
                model,
                _infer_inputs(inputs),
                outputs=_requested_outputs(outputs),
                headers=self._headers,
                client_timeout=deadline.left(),
            )
        except InferenceServerException as error:
            raise _translate(error, self._target, self._tls is not None, deadline) from None
        return _tensors(answer)


class AsyncGrpcTransport:
    """Asyncio transport over one gRPC channel. Cancelling `infer` returns at once but does not cancel the request."""

    def __init__(self, target: str, tls: Tls | None, key: str | None) -> None:
        self._target = target
        self._tls = tls
        self._headers = _key_header(key)
        self._settings = _channel(tls)
        # Made on first use: gRPC ties a channel to the running event loop, and a client may be made before one runs.
        self._client: Any = None
        self._underway: set[asyncio.Task[InferResult]] = set()

    async def infer(self, model: str, inputs: Tensors, outputs: Sequence[str], deadline: Deadline) -> Tensors:
        """The requested outputs of `model`; raises MalgilError. A call that runs out of time is not cancelled."""
        if self._client is None:
            self._client = AsyncInferenceServerClient(self._target, **self._settings)
        call = asyncio.ensure_future(
            self._client.infer(
                model,
                _infer_inputs(inputs),
                outputs=_requested_outputs(outputs),
                headers=self._headers | trace_headers(),
                **_times(deadline),
            )
        )
        self._underway.add(call)
        call.add_done_callback(self._forget)
        await asyncio.wait({call}, timeout=deadline.left())  # unlike wait_for, cancels nothing
        if not call.done():
            raise deadline.exceeded()
        try:
            return _tensors(call.result())
        except InferenceServerException as error:
            raise _translate(error, self._target, self._tls is not None, deadline) from None

    async def close(self) -> None:
        """Close the channel, after at most LINGER seconds in which calls under way may finish."""
        if self._underway:
            await asyncio.wait(set(self._underway), timeout=LINGER)
        if self._client is not None:
            await self._client.close()

    def _forget(self, call: asyncio.Task[InferResult]) -> None:
        """Drop a finished call, and retrieve its exception, which a caller that gave up does not."""
        self._underway.discard(call)
        if not call.cancelled():
            call.exception()  # else asyncio would log it


def _times(deadline: Deadline) -> dict[str, Any]:
    """tritonclient's time limits: gRPC's deadline in seconds, GRACE included, and Triton's `timeout` in microseconds.

    The server refuses a request that it cannot answer within `timeout`.
    """
    left = deadline.left()
    return {"client_timeout": left + GRACE, "timeout": int(left * 1e6)}


def _key_header(key: str | None) -> dict[str, str]:
    """The header with the server's key; empty without one."""
    return {} if key is None else {GRPC_KEY: key}


def _channel(tls: Tls | None) -> dict[str, Any]:
    """tritonclient's arguments for a channel, with TLS or without. Raises ValueError for unreadable certificates."""
    if tls is None:
        return {"channel_args": _CHANNEL_ARGS}
    ssl_context(tls)  # checks the files; gRPC would report a bad one as a failed connection
    name = [("grpc.ssl_target_name_override", tls.server_name)] if tls.server_name else []
    return {
        "ssl": True,
        "root_certificates": tls.ca,
        "private_key": tls.key,
        "certificate_chain": tls.cert,
        "channel_args": _CHANNEL_ARGS + name,
    }


def _infer_inputs(inputs: Tensors) -> list[InferInput]:
    return [
        InferInput(name, array.shape, np_to_triton_dtype(array.dtype)).set_data_from_numpy(array)
        for name, array in inputs.items()
    ]


def _requested_outputs(outputs: Sequence[str]) -> list[InferRequestedOutput]:
    return [InferRequestedOutput(name) for name in outputs]


def _tensors(result: InferResult) -> Tensors:
    """All outputs in the answer, by name."""
    return {output.name: result.as_numpy(output.name) for output in result.get_response().outputs}


def _translate(error: InferenceServerException, target: str, secure: bool, deadline: Deadline) -> MalgilError:
    """The MalgilError for an exception of tritonclient; `secure`: the connection uses TLS."""
    code = str(error.status()).removeprefix("StatusCode.")
    message = error.message() or ""
    if code == "DEADLINE_EXCEEDED":
        return deadline.exceeded()
    if code == "UNAVAILABLE" and message.startswith(_NEVER_SENT):
        if reason := _BAD_CERTIFICATE.search(message):
            return no_tls(target, reason[1].strip())
        for part, cause in _TLS_FAILURES.items() if secure else ():
            if part in message:
                return no_tls(target, cause)
        if any(part in message for part in _NO_GRPC):
            message = "the server closed the connection; does it require TLS (grpcs://)?"
        return unreachable(target, message)
    return from_status(code, message)
