"""Triton adapter of the log of events: JSON in, malgil_core's checks and log, whether it was taken out."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils
from malgil_core.events.log import STATUSES, EventLog
from malgil_core.events.types import parse_events, without_query
from malgil_core.serving.counters import Counters
from malgil_core.serving.events import Settings
from malgil_core.serving.parameters import read_parameters


class TritonPythonModel:
    """event → accepted."""

    def initialize(self, args: dict[str, str]) -> None:
        """Begin a log in the folder that the environment, or the configuration, names."""
        parameters = read_parameters(args["model_config"])
        settings = Settings.read(parameters, os.environ, Path(args["model_repository"]))
        os.nice(settings.nice)
        self.log_queries = settings.log_queries
        labels = {"events": args["model_instance_name"]}
        names = {"events_total": "Events received"}
        self.counters = Counters(pb_utils.MetricFamily, names, {"events_total": ("status", STATUSES)}, labels)
        self.log = EventLog(settings.folder, settings.bounds, self._count, _log)
        self.log.start()
        self.counters.start()

    def finalize(self) -> None:
        """Write what is not written yet, and stop sending metrics."""
        self.log.close()
        self.counters.stop()

    def execute(self, requests: list[Any]) -> list[Any]:
        """Take the events of each request; one that holds a bad event fails alone."""
        return [self._take(request) for request in requests]

    def _take(self, request: Any) -> Any:
        tensor = pb_utils.get_input_tensor_by_name(request, "event")
        array = None if tensor is None else tensor.as_numpy()
        try:
            events = parse_events(array)
        except ValueError as error:
            self._count("refused", 1 if array is None else array.size)
            return _error(str(error), pb_utils.TritonError.INVALID_ARG)
        stored = events if self.log_queries else map(without_query, events)
        taken = self.log.append([event.as_json() for event in stored])
        accepted = np.full((len(events), 1), taken, np.int32)
        return pb_utils.InferenceResponse([pb_utils.Tensor("accepted", accepted)])

    def _count(self, status: str, events: int) -> None:
        self.counters.add({("events_total", status): events})


def _error(sentence: str, status: int) -> Any:
    return pb_utils.InferenceResponse(error=pb_utils.TritonError(sentence, status))


def _log(level: str, sentence: str) -> None:
    # Not by Triton's logger: a thread that logs while the model is being loaded can end Triton 2.51 (lock_exception).
    with contextlib.suppress(OSError):  # where the disk is full, a file of logs may be, too
        print(f"{level}: events: {sentence}", file=sys.stderr, flush=True)
