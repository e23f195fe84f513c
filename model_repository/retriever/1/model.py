"""Triton adapter of the retriever: request tensors in, documents' search, response tensors out."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import Any

import triton_python_backend_utils as pb_utils
from malgil_core.documents.request import DocumentsRequest, lay_out
from malgil_core.encoder import EncoderMetadata
from malgil_core.serving.counters import Counters
from malgil_core.serving.options import unpacked
from malgil_core.serving.parameters import positive, read_parameters

from documents.engine import Access
from documents.retriever import STATUSES, Retriever

COUNTERS = {"documents_total": "Answers of the retriever", "documents_errors_total": "Requests refused"}


class TritonPythonModel:
    """query and embedding (and options) → documents."""

    def initialize(self, args: dict[str, str]) -> None:
        """Begin to connect to the engine that the environment names."""
        parameters = read_parameters(args["model_config"])
        self.deadline_ms = positive("deadline_ms", parameters["deadline_ms"])
        encoder = EncoderMetadata.read(Path(args["model_repository"], parameters["encoder"]))
        self.dimension = encoder.dimension
        labels = {"retriever": args["model_instance_name"]}
        self.counters = Counters(pb_utils.MetricFamily, COUNTERS, {"documents_total": ("status", STATUSES)}, labels)
        self.retriever = Retriever(Access.from_environment(), encoder.fingerprint, _log)
        self.counters.start()

    def finalize(self) -> None:
        """Disconnect from the engine, and stop sending metrics."""
        self.retriever.close()
        self.counters.stop()

    def execute(self, requests: list[Any]) -> list[Any]:
        """Search for the queries of all requests together; a bad request fails alone."""
        responses: list[Any] = [None] * len(requests)
        accepted: dict[int, DocumentsRequest] = {}
        for i, request in enumerate(requests):
            try:
                accepted[i] = DocumentsRequest.parse(unpacked(_inputs(request)), self.dimension, self.deadline_ms)
            except ValueError as error:
                responses[i] = _error(str(error), pb_utils.TritonError.INVALID_ARG)
        answers = self.retriever.answer(list(accepted.values()))
        for (i, own), answer in zip(accepted.items(), answers, strict=True):
            names = requests[i].requested_output_names()
            outputs = lay_out(answer.found, own.options, answer.status)
            tensors = [pb_utils.Tensor(name, value) for name, value in outputs.items() if name in names]
            responses[i] = pb_utils.InferenceResponse(tensors)
        counts = Counter(answer.status for answer in answers for _ in answer.found)
        self.counters.add({("documents_total", status): count for status, count in counts.items()})
        self.counters.add({("documents_errors_total", ""): len(requests) - len(accepted)})
        return responses


def _inputs(request: Any) -> dict[str, Any]:
    return {tensor.name(): tensor.as_numpy() for tensor in request.inputs()}


def _error(sentence: str, status: int) -> Any:
    return pb_utils.InferenceResponse(error=pb_utils.TritonError(sentence, status))


def _log(level: str, sentence: str) -> None:
    # Not by Triton's logger: a thread that logs while the model is being loaded can end Triton 2.51 (lock_exception).
    print(f"{level}: retriever: {sentence}", file=sys.stderr, flush=True)
