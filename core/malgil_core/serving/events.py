"""Settings of a log of events: a model's parameters, and the environment, which goes first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from malgil_core.events.log import Bounds
from malgil_core.serving.parameters import is_on, positive

FOLDER, LOG_QUERIES = "MALGIL_EVENTS", "MALGIL_LOG_QUERIES"


@dataclass(frozen=True)
class Settings:
    """Where events go, and what is kept of them.

    Attributes:
        folder: of the log.
        log_queries: whether the texts of queries are kept.
        bounds: of the log.
        nice: what is added to the niceness of the process.
    """

    folder: Path
    log_queries: bool
    bounds: Bounds
    nice: int

    @classmethod
    def read(cls, parameters: Mapping[str, str], environment: Mapping[str, str], model: Path) -> Settings:
        """The settings of a model.

        Args:
            parameters: of its config.pbtxt.
            environment: variables; an empty one counts as missing.
            model: the model's folder, which paths in its parameters start from.

        Raises:
            ValueError: one is none; the text says which.
        """

        def number(name: str) -> int:
            return positive(name, parameters[name])

        logged = environment.get(LOG_QUERIES) or ("1" if is_on("log_queries", parameters["log_queries"]) else "0")
        if logged not in ("0", "1"):
            raise ValueError(f"{LOG_QUERIES} is {logged!r}: it must be 1 or 0")
        bounds = Bounds(
            interval=number("interval_ms") / 1000,
            segment_bytes=number("segment_mib") * 2**20,
            segment_seconds=number("segment_seconds"),
            folder_bytes=number("max_mib") * 2**20,
        )
        folder = Path(environment.get(FOLDER) or model / parameters["folder"])
        return cls(folder, logged == "1", bounds, number("nice"))
