"""A batch of requests: each checked by itself, then laid together as the graph takes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from config import BATCH_TYPES, Plan

Array = npt.NDArray[Any]
SHRINK_FROM = 4096  # elements of an input: 64 texts of 64 tokens


def check_request(plan: Plan, tensors: Mapping[str, Array]) -> None:
    """Refuse a request whose inputs cannot be laid beside those of others.

    Raises:
        ValueError: an input lacks its batch dimension, or a ragged one has no element or too many; the text is a
            sentence for the caller.
    """
    for name, array in tensors.items():
        shape, rank = list(array.shape), len(plan.inputs[name].dims) + 1
        # Triton keeps 32 bits of a batch size: one of 2**32 becomes 0, and its tensors come without a batch dimension.
        if array.ndim != rank:
            raise ValueError(f"{name} has shape {shape}: it must have {rank} dimensions, the batch first")
        if name not in plan.ragged:
            continue
        # To the C++ backend, such a request is the end of the batch, and the ids of those behind it are garbage.
        if not array.size:
            raise ValueError(f"{name} has shape {shape}: each item must hold at least one element")
        if plan.max_ragged_elements and array.size > plan.max_ragged_elements:
            raise ValueError(
                f"{name} holds {array.size} elements: a request holds at most {plan.max_ragged_elements}, "
                "padding included"
            )


def join(plan: Plan, tensors: Sequence[Mapping[str, Array]]) -> dict[str, Array]:
    """The graph's inputs for a batch of requests, batch inputs included.

    Ragged inputs [b, ...] are laid end to end as rank 1; the others are concatenated along the batch. One request
    alone is passed on without a copy.
    """
    feed: dict[str, Array] = {}
    for name in plan.inputs:
        parts = [request[name].reshape(-1) if name in plan.ragged else request[name] for request in tensors]
        feed[name] = parts[0] if len(parts) == 1 else np.concatenate(parts)
    for target, (source, kind) in plan.shapes.items():
        items = [request[source].shape[1:] for request in tensors for _ in range(len(request[source]))]
        feed[target] = np.array(items, dtype=BATCH_TYPES[kind])
    return feed


def shrinks(plan: Plan, feed: Mapping[str, Array]) -> bool:
    """Whether the arena gives back after this batch what it took, where the config says so.

    Not after a batch of short texts: the next one would take as much again, and the kernel's clearing of fresh pages
    costs a seventh of its time, where the C++ backend, which shrinks after every batch, pays it.
    """
    return plan.shrink_arena and max(array.size for array in feed.values()) >= SHRINK_FROM
