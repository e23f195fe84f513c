"""Triton model that gathers ragged requests, pads them to the longest, and calls the stock graph."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    """input_ids (ragged) → embedding."""

    def initialize(self, args: dict[str, str]) -> None:
        """Load the graph with the thread count that the project's encoder has."""
        parameters = json.loads(args["model_config"])["parameters"]
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = int(
            parameters.get("intra_op_thread_count", {"string_value": "0"})["string_value"]
        )
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # as the drop-in backend does
        path = Path(args["model_repository"], args["model_version"], "model.onnx")
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def execute(self, requests: list[Any]) -> list[Any]:
        """Embed all requests as one batch."""
        texts = [pb_utils.get_input_tensor_by_name(request, "input_ids").as_numpy() for request in requests]
        sizes = [len(ids) for ids in texts]
        grid = np.zeros((sum(sizes), max(ids.shape[1] for ids in texts)), dtype=np.int64)
        mask = np.zeros_like(grid)
        ends = np.cumsum(sizes)
        for ids, end in zip(texts, ends, strict=True):
            grid[end - len(ids) : end, : ids.shape[1]] = ids
            mask[end - len(ids) : end, : ids.shape[1]] = 1
        (output,) = self.session.run(["embedding"], {"input_ids": grid, "attention_mask": mask})
        return [
            pb_utils.InferenceResponse([pb_utils.Tensor("embedding", output[end - size : end])])
            for end, size in zip(ends, sizes, strict=True)
        ]
