"""Tensors over gRPC, by tritonclient."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tritonclient.grpc import InferenceServerClient, InferInput, InferRequestedOutput, InferResult
from tritonclient.grpc.aio import InferenceServerClient as AsyncInferenceServerClient
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from malgil._errors import MalgilError, from_status, unreachable
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


class GrpcTransport:
    """tritonclient's blocking client; its `infer` is thread-safe and shares one connection."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._client = InferenceServerClient(target, channel_args=_CHANNEL_ARGS)

    def infer(self, model: str, inputs: Tensors, outputs: Sequence[str], deadline: Deadline) -> Tensors:
        """See Transport.infer."""
        try:
            result = self._client.infer(model, _infer_inputs(inputs), outputs=_asked(outputs), **_times(deadline))
        except InferenceServerException as error:
            raise _translate(error, self._target, deadline) from None
        return _tensors(result)

    def close(self) -> None:
        """See Transport.close."""
        self._client.close()


class AsyncGrpcTransport:
    """tritonclient's asyncio client. Cancelling the task that awaits `infer` cancels the call."""

    def __init__(self, target: str) -> None:
        self._target = target
        # Made on first use: gRPC ties a channel to the event loop that runs when it is made, and the client
        # may well be made before any loop runs.
        self._client: Any = None

    async def infer(self, model: str, inputs: Tensors, outputs: Sequence[str], deadline: Deadline) -> Tensors:
        """See Transport.infer."""
        if self._client is None:
            self._client = AsyncInferenceServerClient(self._target, channel_args=_CHANNEL_ARGS)
        try:
            result = await self._client.infer(model, _infer_inputs(inputs), outputs=_asked(outputs), **_times(deadline))
        except InferenceServerException as error:
            raise _translate(error, self._target, deadline) from None
        return _tensors(result)

    async def close(self) -> None:
        """See Transport.close."""
        if self._client is not None:
            await self._client.close()


def _times(deadline: Deadline) -> dict[str, Any]:
    """The deadline for the connection, and for the server, which refuses what it cannot answer in time."""
    left = deadline.left()
    return {"client_timeout": left, "timeout": int(left * 1e6)}  # seconds, and microseconds


def _infer_inputs(inputs: Tensors) -> list[InferInput]:
    return [
        InferInput(name, array.shape, np_to_triton_dtype(array.dtype)).set_data_from_numpy(array)
        for name, array in inputs.items()
    ]


def _asked(outputs: Sequence[str]) -> list[InferRequestedOutput]:
    return [InferRequestedOutput(name) for name in outputs]


def _tensors(result: InferResult) -> Tensors:
    return {output.name: result.as_numpy(output.name) for output in result.get_response().outputs}


def _translate(error: InferenceServerException, target: str, deadline: Deadline) -> MalgilError:
    code = str(error.status()).removeprefix("StatusCode.")
    message = error.message() or ""
    if code == "DEADLINE_EXCEEDED":
        return deadline.exceeded()
    if code == "UNAVAILABLE" and message.startswith(_NEVER_SENT):
        return unreachable(target, message)
    return from_status(code, message)
