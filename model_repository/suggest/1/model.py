"""Triton adapter of suggestions: request tensors in, malgil_core's suggestions, response tensors out."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import triton_python_backend_utils as pb_utils
from malgil_core.index.reader import load_texts
from malgil_core.serving.counters import Counters
from malgil_core.serving.follower import IndexFollower
from malgil_core.serving.parameters import read_parameters
from malgil_core.suggest.request import SuggestRequest, lay_out
from malgil_core.suggest.suggester import Suggester

COUNTERS = {
    "suggest_texts_total": "Texts that suggestions were made for, each row of a client batch for itself",
    "suggest_empty_total": "Texts without a suggestion",
    "suggest_errors_total": "Requests for suggestions that were refused",
}


class TritonPythonModel:
    """typed (and options) → suggestions."""

    def initialize(self, args: dict[str, str]) -> None:
        """Load the texts of the current generation and follow the index."""
        parameters = read_parameters(args["model_config"])
        folder = Path(args["model_repository"])
        self.counters = Counters(pb_utils.MetricFamily, COUNTERS, {}, {"suggest": args["model_instance_name"]})
        self.follower = IndexFollower(
            folder / parameters["index"], folder / parameters["encoder"], Suggester, _log, load=load_texts
        )
        self.follower.start()
        self.counters.start()

    def finalize(self) -> None:
        """Stop following the index and sending metrics."""
        self.follower.stop()
        self.counters.stop()

    def execute(self, requests: list[Any]) -> list[Any]:
        """Complete the texts of all requests in one pass; a bad request fails alone."""
        serving = self.follower.serving
        if serving is None:
            self.counters.add({("suggest_errors_total", ""): len(requests)})
            return [_error(self.follower.unavailable, pb_utils.TritonError.UNAVAILABLE) for _ in requests]
        responses: list[Any] = [None] * len(requests)
        accepted: dict[int, SuggestRequest] = {}
        for i, request in enumerate(requests):
            try:
                inputs = {tensor.name(): tensor.as_numpy() for tensor in request.inputs()}
                accepted[i] = SuggestRequest.parse(inputs, serving.generation.surfaces)
            except ValueError as error:
                responses[i] = _error(str(error), pb_utils.TritonError.INVALID_ARG)
        texts = [text for parsed in accepted.values() for text in parsed.typed]
        options = [option for parsed in accepted.values() for option in parsed.options]
        found = serving.scorer.suggest(texts, options)
        start = 0
        for i, parsed in accepted.items():
            names, end = requests[i].requested_output_names(), start + len(parsed.typed)
            outputs = lay_out(serving.generation, found[start:end], parsed.options)
            tensors = [pb_utils.Tensor(name, value) for name, value in outputs.items() if name in names]
            responses[i], start = pb_utils.InferenceResponse(tensors), end
        self.counters.add({
            ("suggest_texts_total", ""): len(texts),
            ("suggest_empty_total", ""): sum(not one for one in found),
            ("suggest_errors_total", ""): len(requests) - len(accepted),
        })  # fmt: skip
        return responses


def _error(sentence: str, status: int) -> Any:
    return pb_utils.InferenceResponse(error=pb_utils.TritonError(sentence, status))


def _log(level: str, sentence: str) -> None:
    # Not by Triton's logger: see docs/known-issues.md.
    print(f"{level}: suggest: {sentence}", file=sys.stderr, flush=True)
