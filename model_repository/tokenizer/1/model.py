"""Triton adapter of the tokenizer: see tokenization.py and admission.py for what it does."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import triton_python_backend_utils as pb_utils
from malgil_core.serving.admission import Admission, fetch, pending
from malgil_core.text.tokenization import FIELD, Tokenization, check_shape, pad, parse_kind, parse_text, require

# Batches are short texts: handing them to a thread pool costs more than tokenizing them.
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


class TritonPythonModel:
    """text (and kind) → input_ids."""

    def initialize(self, args: dict[str, str]) -> None:
        """Load the exported tokenizer."""
        parameters = {
            key: value["string_value"] for key, value in json.loads(args["model_config"])["parameters"].items()
        }
        behind, metrics = parameters["waiting_in"].split(), os.environ.get("MALGIL_METRICS_URL", parameters["metrics"])
        self.admission = Admission(int(parameters["max_pending"]), lambda: pending(fetch(metrics), behind), _warn)
        self.tokenization = Tokenization.load(Path(args["model_repository"], args["model_version"]))

    def execute(self, requests: list[Any]) -> list[Any]:
        """Tokenize the texts of all requests in one call; a bad request fails alone."""
        responses: list[Any] = [None] * len(requests)
        texts: list[str] = []
        kinds: list[str] = []
        spans: list[tuple[int, int, int]] = []
        refusals = self.admission.refusals([request.timeout() / 1e6 for request in requests])
        for i, request in enumerate(requests):
            if refusals[i]:
                responses[i] = _error(refusals[i], pb_utils.TritonError.UNAVAILABLE)
                continue
            try:
                own_texts = [parse_text(raw) for raw in require(FIELD, _elements(request, "text", FIELD))]
                kinds_given = _elements(request, "kind", "kind")
                own_kinds = ["query"] * len(own_texts) if kinds_given is None else [parse_kind(k) for k in kinds_given]
            except ValueError as error:
                responses[i] = _error(str(error), pb_utils.TritonError.INVALID_ARG)
                continue
            spans.append((i, len(texts), len(texts) + len(own_texts)))
            texts += own_texts
            kinds += own_kinds
        rows = self.tokenization.encode(texts, kinds) if texts else []
        for i, start, stop in spans:
            output = pb_utils.Tensor("input_ids", pad(rows[start:stop]))
            responses[i] = pb_utils.InferenceResponse([output])
        return responses


def _elements(request: Any, name: str, field: str) -> list[bytes] | None:
    tensor = pb_utils.get_input_tensor_by_name(request, name)
    if tensor is None:
        return None
    array = tensor.as_numpy()
    check_shape(field, array.shape)
    elements: list[bytes] = array.ravel().tolist()
    return elements


def _error(sentence: str, status: int) -> Any:
    return pb_utils.InferenceResponse(error=pb_utils.TritonError(sentence, status))


def _warn(sentence: str) -> None:
    pb_utils.Logger.log_warn(f"tokenizer: {sentence}")
