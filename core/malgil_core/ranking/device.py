"""The device that ranks: the CPU, or a GPU where there is one and torch."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from threadpoolctl import threadpool_limits

from malgil_core.ranking.cpu import CpuScorer, product_threads
from malgil_core.ranking.types import Index, Scorer

DEVICES = ("auto", "cpu", "cuda")


def choose_device(name: str, device_id: str) -> str:
    """The device of a scorer, "cpu" or "cuda:N"; torch is imported only where there is a GPU.

    Args:
        name: one of DEVICES.
        device_id: N, the GPU that Triton gives the instance.

    Raises:
        ValueError: it is none of DEVICES, or cuda where torch finds no GPU; a sentence for the log.
    """
    if name not in DEVICES:
        raise ValueError(f"parameter device is {name!r}: it must be {', '.join(DEVICES[:-1])} or {DEVICES[-1]}")
    has_gpu = Path("/dev/nvidiactl").exists() and importlib.util.find_spec("torch") is not None
    if name == "cpu" or (name == "auto" and not has_gpu):
        return "cpu"
    import torch

    if torch.cuda.is_available():
        return f"cuda:{device_id}"
    if name == "cuda":
        raise ValueError("parameter device is cuda, and torch finds no GPU")
    return "cpu"


def make_scorer(index: Index, device: str) -> Scorer:
    """The scorer of a generation on a device of `choose_device`; sets the threads of NumPy's products on the CPU."""
    if device == "cpu":
        threadpool_limits(product_threads(index), user_api="blas")
        return CpuScorer(index)
    from malgil_core.ranking.cuda import CudaScorer

    return CudaScorer(index, device)
