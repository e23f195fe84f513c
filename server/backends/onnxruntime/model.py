"""ONNX Runtime for a Triton that has only the Python backend, as pip's has: a drop-in for `backend: "onnxruntime"`.

Honours what this project's configs use of the C++ backend, and refuses to load, by name, what it does not:
dynamic batching, ragged inputs, batch_input BATCH_ITEM_SHAPE, the parameters in PARAMETERS, optimization graph level.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import batch
import config as settings
import graph
import numpy as np
import onnxruntime
import triton_python_backend_utils as pb_utils
import weights

# Added to the niceness of this process. The other steps are short: they get the processor first, and an overload is
# refused at once. With equal priorities, of 1,500 searches a second on two cores those refused waited ten seconds.
NICE = 5


class TritonPythonModel:
    """One instance: one onnxruntime session."""

    @staticmethod
    def auto_complete_config(auto_complete_model_config: Any) -> Any:
        """Configs are complete as they are committed."""
        return auto_complete_model_config

    def initialize(self, args: dict[str, str]) -> None:
        """Check the config and load the model."""
        os.nice(NICE)
        config = json.loads(args["model_config"])
        self.plan = settings.plan(config, args["model_instance_kind"])
        path = Path(args["model_repository"], args["model_version"], config["default_model_filename"] or "model.onnx")
        if self.plan.instances > 1:
            # The backend's folder is the server's own: the launcher has put it together, and removes it.
            folder = Path(__file__).parent / "weights" / f"{self.plan.name}-{args['model_version']}"
            path = weights.mapped(path, folder, lambda: _options(self.plan))
        self.session = onnxruntime.InferenceSession(str(path), _options(self.plan), providers=weights.PROVIDERS)
        inputs, outputs = (
            {value.name: settings.Value.of(value.type, value.shape) for value in values}
            for values in (self.session.get_inputs(), self.session.get_outputs())
        )
        graph.check_graph(self.plan, inputs, outputs)
        self.run_options, self.shrinking = onnxruntime.RunOptions(), onnxruntime.RunOptions()
        self.shrinking.add_run_config_entry("memory.enable_memory_arena_shrinkage", settings.SHRINKAGE)

    def execute(self, requests: list[Any]) -> list[Any]:
        """Run a batch whole, as the C++ backend does; a bad request fails alone, an error of onnxruntime is all's."""
        tensors = [
            {name: pb_utils.get_input_tensor_by_name(request, name).as_numpy() for name in self.plan.inputs}
            for request in requests
        ]
        responses = [self._refusal(own) for own in tensors]
        good = [i for i, refusal in enumerate(responses) if refusal is None]
        for i, response in zip(good, self._run([tensors[i] for i in good]) if good else [], strict=True):
            responses[i] = response
        return responses

    def _refusal(self, tensors: dict[str, Any]) -> Any:
        try:
            batch.check_request(self.plan, tensors)
        except ValueError as error:
            failure = pb_utils.TritonError(str(error), pb_utils.TritonError.INVALID_ARG)
            return pb_utils.InferenceResponse(error=failure)
        return None

    def _run(self, tensors: list[dict[str, Any]]) -> list[Any]:
        sizes = [len(next(iter(own.values()))) for own in tensors]
        try:
            feed = batch.join(self.plan, tensors)
            options = self.shrinking if batch.shrinks(self.plan, feed) else self.run_options
            outputs = self.session.run(list(self.plan.outputs), feed, options)
            for name, output in zip(self.plan.outputs, outputs, strict=True):
                if len(output) != sum(sizes):
                    raise ValueError(f"output {name} has {len(output)} rows for a batch of {sum(sizes)}")
        except Exception as error:  # whatever onnxruntime raises is the caller's to see
            failure = pb_utils.TritonError(f"onnxruntime: {error}", pb_utils.TritonError.INTERNAL)
            return [pb_utils.InferenceResponse(error=failure) for _ in tensors]
        ends = np.cumsum(sizes)
        return [
            pb_utils.InferenceResponse(
                [
                    pb_utils.Tensor(name, output[end - size : end])
                    for name, output in zip(self.plan.outputs, outputs, strict=True)
                ]
            )
            for end, size in zip(ends, sizes, strict=True)
        ]


def _options(plan: settings.Plan) -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, plan.optimization)
    options.intra_op_num_threads = plan.intra_op_threads
    options.inter_op_num_threads = plan.inter_op_threads
    options.execution_mode = onnxruntime.ExecutionMode(plan.execution_mode)
    options.enable_cpu_mem_arena = plan.memory_arena
    options.enable_mem_pattern = plan.memory_pattern
    # Threads that spin while idle starve the tokenizer and scorer beside them: without, a prototype of this
    # ensemble went from 340 to 478 requests/s on two cores.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    return options
