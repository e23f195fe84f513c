"""Triton adapter of the scorer: request tensors in, malgil_core's ranking, response tensors out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import triton_python_backend_utils as pb_utils
from malgil_core.ranking.device import choose_device, make_scorer
from malgil_core.ranking.request import SearchRequest
from malgil_core.serving.batch import answer
from malgil_core.serving.follower import IndexFollower
from malgil_core.serving.metrics import Metrics
from malgil_core.serving.options import unpacked
from malgil_core.serving.parameters import is_on, read_parameters


class TritonPythonModel:
    """query and embedding (and options) → hits."""

    def initialize(self, args: dict[str, str]) -> None:
        """Choose the device, load the current generation and follow the index."""
        parameters = read_parameters(args["model_config"])
        folder = Path(args["model_repository"])
        self.device = choose_device(parameters["device"], args["model_instance_device_id"])
        _log("info", f"scoring on {self.device}")
        self.metrics = Metrics(pb_utils.MetricFamily, {"scorer": args["model_instance_name"]})
        self.follower = IndexFollower(
            folder / parameters["index"],
            folder / parameters["encoder"],
            lambda generation: make_scorer(generation, self.device),
            _log,
            self.metrics,
            is_on("lexical", parameters["lexical"]),
        )
        self.follower.start()
        self.metrics.start()

    def finalize(self) -> None:
        """Stop following the index and sending metrics."""
        self.follower.stop()
        self.metrics.stop()

    def execute(self, requests: list[Any]) -> list[Any]:
        """Rank the queries of all requests together; a bad request fails alone."""
        serving = self.follower.serving
        if serving is None:
            self.metrics.count_errors("no_catalog", len(requests))
            return [_error(self.follower.unavailable, pb_utils.TritonError.UNAVAILABLE) for _ in requests]
        responses: list[Any] = [None] * len(requests)
        accepted: dict[int, SearchRequest] = {}
        for i, request in enumerate(requests):
            try:
                accepted[i] = SearchRequest.parse(unpacked(self._inputs(request)), serving.generation)
            except ValueError as error:
                self.metrics.count_errors("invalid_argument")
                responses[i] = _error(str(error), pb_utils.TritonError.INVALID_ARG)
        answers = answer(serving, list(accepted.values()), self.metrics)
        for i, outputs in zip(accepted, answers, strict=True):
            names = requests[i].requested_output_names()
            tensors = [pb_utils.Tensor(name, value) for name, value in outputs.items() if name in names]
            responses[i] = pb_utils.InferenceResponse(tensors)
        return responses

    def _inputs(self, request: Any) -> dict[str, Any]:
        # Each call of inputs(), and each get_input_tensor_by_name, has Triton wrap all of them again.
        return {
            name: self._on_device(tensor) if name == "embedding" else tensor.as_numpy()
            for name, tensor in ((tensor.name(), tensor) for tensor in request.inputs())
        }

    def _on_device(self, tensor: Any) -> Any:
        if self.device == "cpu":
            return tensor.as_numpy()
        import torch

        return torch.from_dlpack(tensor.to_dlpack())


def _error(sentence: str, status: int) -> Any:
    return pb_utils.InferenceResponse(error=pb_utils.TritonError(sentence, status))


def _log(level: str, sentence: str) -> None:
    log = pb_utils.Logger.log_error if level == "error" else pb_utils.Logger.log_info
    log(f"scorer: {sentence}")
