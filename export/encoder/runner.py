"""Running an exported encoder with onnxruntime in this process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime

Ids = npt.NDArray[np.int64]  # the token ids of one text
Vectors = npt.NDArray[np.float32]
Run = Callable[[Sequence[Ids]], Vectors]


def load(model: Path) -> Run:
    """A function that embeds a batch of texts, given as token ids: one packed batch → float32 [texts, D]."""
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])

    def run(batch: Sequence[Ids]) -> Vectors:
        lengths = np.array([[len(ids)] for ids in batch], dtype=np.int32)
        vectors: Vectors = session.run(["embedding"], {"input_ids": np.concatenate(batch), "lengths": lengths})[0]
        return vectors

    return run
