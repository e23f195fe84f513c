"""Triton adapter of the tokenizer: admission, request tensors in, malgil_core's token ids, response tensors out."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils
from malgil_core.serving.admission import Admission, fetch, pending
from malgil_core.serving.latin_words import LatinWords
from malgil_core.serving.options import NAME, packed
from malgil_core.serving.parameters import positive, read_parameters
from malgil_core.text.tokenization import Tokenization, pad
from malgil_core.text.validation import parse_request

# Batches are short texts: handing them to a thread pool costs more than tokenizing them.
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


class TritonPythonModel:
    """text (and kind) → input_ids; for the steps behind, when the request was taken up, and its options."""

    def initialize(self, args: dict[str, str]) -> None:
        """Load the exported tokenizer."""
        parameters = read_parameters(args["model_config"])
        models, url = parameters["waiting_in"].split(), os.environ.get("MALGIL_METRICS_URL", parameters["metrics"])
        limit = positive("max_pending", parameters["max_pending"])
        self.admission = Admission(limit, lambda: pending(fetch(url), models), _warn)
        folder = Path(args["model_repository"])
        self.latin_words = LatinWords(folder / parameters["index"], _warn)
        self.tokenization = Tokenization.load(folder / args["model_version"], self.latin_words)
        self.latin_words.start()

    def finalize(self) -> None:
        """Stop following the index."""
        self.latin_words.stop()

    def execute(self, requests: list[Any]) -> list[Any]:
        """Tokenize the texts of each request; a refused or bad one fails alone."""
        refusals = self.admission.refusals([request.timeout() / 1e6 for request in requests])
        return [
            _error(refusal, pb_utils.TritonError.UNAVAILABLE) if refusal else self._tokenize(request)
            for request, refusal in zip(requests, refusals, strict=True)
        ]

    def _tokenize(self, request: Any) -> Any:
        arrived = time.monotonic_ns()
        wanted = request.requested_output_names()
        try:
            tensors = {tensor.name(): tensor.as_numpy() for tensor in request.inputs()}
            texts, kinds = parse_request(tensors.get("text"), tensors.get("kind"))
            options = packed(tensors, len(texts)) if NAME in wanted else None
        except ValueError as error:
            return _error(str(error), pb_utils.TritonError.INVALID_ARG)
        outputs = [pb_utils.Tensor("input_ids", pad(self.tokenization.encode(texts, kinds)))]
        if options is not None:
            outputs.append(pb_utils.Tensor(NAME, options))
        if "arrived" in wanted:
            outputs.append(pb_utils.Tensor("arrived", np.full((len(texts), 1), arrived, np.int64)))
        return pb_utils.InferenceResponse(outputs)


def _error(sentence: str, status: int) -> Any:
    return pb_utils.InferenceResponse(error=pb_utils.TritonError(sentence, status))


def _warn(sentence: str) -> None:
    pb_utils.Logger.log_warn(f"tokenizer: {sentence}")
