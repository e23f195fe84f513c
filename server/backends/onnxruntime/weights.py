"""The weights of a model in a file that all its instances map, so that memory and caches hold them once."""

from __future__ import annotations

import fcntl
import sys
from collections.abc import Callable
from pathlib import Path

import onnxruntime

PROVIDERS = ["CPUExecutionProvider"]
WEIGHTS = "weights.bin"


def mapped(model: Path, folder: Path, options: Callable[[], onnxruntime.SessionOptions]) -> Path:
    """The model, optimized, beside its weights as ONNX Runtime's kernels multiply with them.

    The first instance writes both, the others wait for it; ONNX Runtime maps the weights, where each session on the
    model itself has a copy of them, packed anew. The files fit this machine and this ONNX Runtime alone. Where they
    cannot be written, the model itself is what the instances load.

    Args:
        model: the model.onnx.
        folder: for the files of this model, of one server's life.
        options: makes the options of the session that optimizes.
    """
    made = folder / "model.onnx"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not made.exists():
                _write(model, folder / "partial.onnx", options())
                (folder / "partial.onnx").rename(made)
    except Exception as error:  # no space, or what onnxruntime raises: a model that cannot be read fails by itself
        print(f"error: onnxruntime: instances of {model} share no weights: {error}", file=sys.stderr, flush=True)
        return model
    return made


def _write(model: Path, optimized: Path, options: onnxruntime.SessionOptions) -> None:
    options.optimized_model_filepath = str(optimized)
    for key, value in (
        ("optimized_model_external_initializers_file_name", WEIGHTS),
        ("optimized_model_external_initializers_min_size_in_bytes", "1024"),
        ("save_external_prepacked_constant_initializers", "1"),
    ):
        options.add_session_config_entry(f"session.{key}", value)
    onnxruntime.InferenceSession(str(model), options, providers=PROVIDERS)
