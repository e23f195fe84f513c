"""Triton adapter of the scorer: see scoring.py, generation.py, live.py, tensors.py and metrics.py."""

from __future__ import annotations

import importlib.util
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils
from malgil_core.index.reader import Generation
from malgil_core.ranking.cpu import CpuScorer, product_threads
from malgil_core.ranking.request import check_embeddings, lay_out, parse_options, parse_query, require
from malgil_core.ranking.topk import unit
from malgil_core.ranking.types import QueryOptions, Scorer
from malgil_core.serving.follower import LiveIndex, Serving
from malgil_core.serving.metrics import Metrics
from threadpoolctl import threadpool_limits


class TritonPythonModel:
    """query and embedding (and options) → hits."""

    def initialize(self, args: dict[str, str]) -> None:
        """Choose the device and load the generation that is current."""
        config = json.loads(args["model_config"])
        parameters = {key: value["string_value"] for key, value in config["parameters"].items()}
        folder = Path(args["model_repository"])
        with_lexical = _is_on("lexical", parameters["lexical"])
        self.device = _choose_device(parameters["device"], args["model_instance_device_id"])
        self.metrics = Metrics(pb_utils.MetricFamily, {"scorer": args["model_instance_name"]})
        index, encoder = folder / parameters["index"], folder / parameters["encoder"]
        self.live = LiveIndex(index, encoder, self._make_scorer, _log, self.metrics, with_lexical)
        _log("info", f"scoring on {self.device}")
        self.live.start()
        self.metrics.start()

    def finalize(self) -> None:
        """Stop following the index and sending metrics."""
        self.live.stop()
        self.metrics.stop()

    def execute(self, requests: list[Any]) -> list[Any]:
        """Rank the queries of all requests in one product; a bad request fails alone."""
        serving = self.live.serving
        if serving is None:
            self.metrics.error("no_catalogue", len(requests))
            return [_error(self.live.why_not, pb_utils.TritonError.UNAVAILABLE) for _ in requests]
        responses: list[Any] = [None] * len(requests)
        embeddings: list[Any] = []
        queries: list[str] = []
        options: list[QueryOptions] = []
        spans: list[tuple[int, int, int]] = []
        for i, request in enumerate(requests):
            try:
                texts, embedding, own = self._read(request, serving)
            except ValueError as error:
                self.metrics.error("invalid_argument")
                responses[i] = _error(str(error), pb_utils.TritonError.INVALID_ARG)
                continue
            spans.append((i, len(options), len(options) + len(own)))
            embeddings.append(embedding)
            queries += texts
            options += own
        began = time.perf_counter()
        lexical = serving.generation.lexical
        evidence = [lexical.matches(query) for query in queries] if lexical else []
        spelled = time.perf_counter()
        ranked = serving.scorer.rank(self._join(embeddings), options, evidence) if options else []
        self.metrics.batch(ranked, spelled - began, time.perf_counter() - spelled)
        for i, start, stop in spans:
            outputs = lay_out(serving.generation, ranked[start:stop], options[start:stop])
            asked = requests[i].requested_output_names()
            tensors = [pb_utils.Tensor(name, value) for name, value in outputs.items() if name in asked]
            responses[i] = pb_utils.InferenceResponse(tensors)
        return responses

    def _read(self, request: Any, serving: Serving) -> tuple[list[str], Any, list[QueryOptions]]:
        queries = [parse_query(raw) for raw in require("query", _elements(request, "query"))]
        tensor = require("embedding", pb_utils.get_input_tensor_by_name(request, "embedding"))
        if self.device == "cpu":
            embedding = tensor.as_numpy()
            check_embeddings(embedding, serving.generation.dimension)
        else:
            import torch

            embedding = torch.from_dlpack(tensor.to_dlpack())
            check_embeddings(embedding.cpu().numpy(), serving.generation.dimension)
        top_k, surface, min_score = (_elements(request, name) for name in ("top_k", "surface", "min_score"))
        return queries, embedding, parse_options(len(embedding), top_k, surface, min_score, serving.generation.surfaces)

    def _join(self, embeddings: list[Any]) -> Any:
        if self.device == "cpu":
            return unit(np.concatenate(embeddings))
        import torch

        return torch.nn.functional.normalize(torch.cat([e.to(self.device) for e in embeddings]))

    def _make_scorer(self, generation: Generation) -> Scorer:
        if self.device == "cpu":
            threadpool_limits(product_threads(generation), user_api="blas")
            return CpuScorer(generation)
        from malgil_core.ranking.cuda import CudaScorer

        return CudaScorer(generation, self.device)


def _choose_device(wanted: str, device_id: str) -> str:
    """Cpu or cuda:N; torch is imported only where there is a GPU."""
    if wanted not in ("auto", "cpu", "cuda"):
        raise ValueError(f"parameter device is {wanted!r}: it must be auto, cpu or cuda")
    has_gpu = Path("/dev/nvidiactl").exists() and importlib.util.find_spec("torch") is not None
    if wanted == "cpu" or (wanted == "auto" and not has_gpu):
        return "cpu"
    import torch

    if torch.cuda.is_available():
        return f"cuda:{device_id}"
    if wanted == "cuda":
        raise ValueError("parameter device is cuda, and torch finds no GPU")
    return "cpu"


def _is_on(name: str, value: str) -> bool:
    if value not in ("on", "off"):
        raise ValueError(f"parameter {name} is {value!r}: it must be on or off")
    return value == "on"


def _elements(request: Any, name: str) -> list[Any] | None:
    tensor = pb_utils.get_input_tensor_by_name(request, name)
    return None if tensor is None else tensor.as_numpy().ravel().tolist()


def _error(sentence: str, status: int) -> Any:
    return pb_utils.InferenceResponse(error=pb_utils.TritonError(sentence, status))


def _log(level: str, sentence: str) -> None:
    log = pb_utils.Logger.log_error if level == "error" else pb_utils.Logger.log_info
    log(f"scorer: {sentence}")
