"""Tensors over gRPC, by tritonclient."""

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
    # A name of several addresses, such as a headless service of Kubernetes: requests go to each in turn. Without this,
    # one connection would take them all to one replica.
    ("grpc.lb_policy_name", "round_robin"),
    # gRPC's own pauses between connection attempts grow to two minutes, in which every call fails at once:
    # a restarted server would be down for its clients long after it is up.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
]

# gRPC's words for a connection that was never made, so that the request cannot have been sent.
_NEVER_SENT = (
    "failed to connect",
    "errors resolving",
    "DNS resolution failed",
    "connections to all backends",
)

# gRPC's words for a handshake that failed, and ours. A server that misses a client's certificate just hangs up.
_TLS_FAILURES = {
    "Hostname Verification": "the server's certificate is for another name",
    "WRONG_VERSION_NUMBER": "the server does not speak TLS",
    "Socket closed": "the server hung up; does it ask for a client certificate that it trusts?",
    "handshake failed": "the handshake failed",
}
_VERDICT = re.compile(r"CERTIFICATE_VERIFY_FAILED: ([^:;\]]+)")


# Triton 2.51 may crash when a call to an ensemble is cancelled or runs into its deadline just as it is answered (its
# issues 7368 and 8034; 6 crashes in 41,000 such calls here). So a call that nobody waits for any longer is left to end
# by itself for so many seconds.
GRACE = 10.0
LINGER = 1.0  # the same when a client is closed


class GrpcTransport:
    """tritonclient's blocking client; its `infer` is thread-safe and shares one connection."""

    def __init__(self, target: str, tls: Tls | None, key: str | None) -> None:
        self._target = target
        self._tls = tls
        self._headers = _key_header(key)
        self._client = InferenceServerClient(target, **_channel(tls))
        self._underway: set[Future[InferResult]] = set()

    def infer(self, model: str, inputs: Tensors, outputs: Sequence[str], deadline: Deadline) -> Tensors:
        """See Transport.infer."""
        answer: Future[InferResult] = Future()

        def ended(result: InferResult | None, error: InferenceServerException | None) -> None:  # tritonclient's names
            if error:
                answer.set_exception(error)
            else:
                answer.set_result(result)

        try:
            self._client.async_infer(
                model,
                _infer_inputs(inputs),
                callback=ended,
                outputs=_asked(outputs),
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
        """See Transport.close. Calls that were given up have LINGER seconds to end."""
        wait(tuple(self._underway), LINGER)
        self._client.close()


class AsyncGrpcTransport:
    """tritonclient's asyncio client. Cancelling the task that awaits `infer` leaves the call to end by itself."""

    def __init__(self, target: str, tls: Tls | None, key: str | None) -> None:
        self._target = target
        self._tls = tls
        self._headers = _key_header(key)
        self._settings = _channel(tls)
        # Made on first use: gRPC ties a channel to the event loop that runs when it is made, and the client
        # may well be made before any loop runs.
        self._client: Any = None
        self._underway: set[asyncio.Task[InferResult]] = set()

    async def infer(self, model: str, inputs: Tensors, outputs: Sequence[str], deadline: Deadline) -> Tensors:
        """See Transport.infer."""
        if self._client is None:
            self._client = AsyncInferenceServerClient(self._target, **self._settings)
        call = asyncio.ensure_future(
            self._client.infer(
                model,
                _infer_inputs(inputs),
                outputs=_asked(outputs),
                headers=self._headers | trace_headers(),
                **_times(deadline),
            )
        )
        self._underway.add(call)
        call.add_done_callback(self._ended)
        await asyncio.wait({call}, timeout=deadline.left())  # unlike wait_for, cancels nothing
        if not call.done():
            raise deadline.exceeded()
        try:
            return _tensors(call.result())
        except InferenceServerException as error:
            raise _translate(error, self._target, self._tls is not None, deadline) from None

    async def close(self) -> None:
        """See AsyncTransport.close. Calls that were given up have LINGER seconds to end."""
        if self._underway:
            await asyncio.wait(set(self._underway), timeout=LINGER)
        if self._client is not None:
            await self._client.close()

    def _ended(self, call: asyncio.Task[InferResult]) -> None:
        self._underway.discard(call)
        if not call.cancelled():
            call.exception()  # nobody may be left to look, which asyncio would complain of


def _times(deadline: Deadline) -> dict[str, Any]:
    """The deadline for the connection in seconds, and for the server in microseconds: it refuses what would be late."""
    left = deadline.left()
    return {"client_timeout": left + GRACE, "timeout": int(left * 1e6)}


def _key_header(key: str | None) -> dict[str, str]:
    return {} if key is None else {GRPC_KEY: key}


def _channel(tls: Tls | None) -> dict[str, Any]:
    """tritonclient's arguments. Raises ValueError for certificates that cannot be read."""
    if tls is None:
        return {"channel_args": _CHANNEL_ARGS}
    ssl_context(tls)  # gRPC itself says nothing of a bad file until it fails to connect
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


def _asked(outputs: Sequence[str]) -> list[InferRequestedOutput]:
    return [InferRequestedOutput(name) for name in outputs]


def _tensors(result: InferResult) -> Tensors:
    return {output.name: result.as_numpy(output.name) for output in result.get_response().outputs}


def _translate(error: InferenceServerException, target: str, secure: bool, deadline: Deadline) -> MalgilError:
    code = str(error.status()).removeprefix("StatusCode.")
    message = error.message() or ""
    if code == "DEADLINE_EXCEEDED":
        return deadline.exceeded()
    if code == "UNAVAILABLE" and message.startswith(_NEVER_SENT):
        if verdict := _VERDICT.search(message):
            return no_tls(target, verdict[1].strip())
        for sign, reason in _TLS_FAILURES.items() if secure else ():
            if sign in message:
                return no_tls(target, reason)
        if "Socket closed" in message:  # also how a server says no to a client that does not speak TLS
            message = "the server hung up; does it speak TLS (grpcs://)?"
        return unreachable(target, message)
    return from_status(code, message)
