"""The scenarios of the soak, how much of each is done, and the bounds of their figures."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import QUERIES
from benchmarks.compare import repositories
from export.catalog import labelled
from server.launcher import Server
from server.ports import free_ports
from tests.soak import burst, heal, kills, overload, publish
from tests.soak.fuzz import run as fuzz

Advance = Callable[[int, int], None]


@dataclass(frozen=True)
class Size:
    """How much of each scenario is done."""

    publishes: int = 100
    kills: int = 200
    each: int = 5  # kills of tritonserver, and of each stub
    seconds: float = 60.0  # of the overload
    saturate: float = 10.0
    requests: int = 30_000  # of the fuzzer
    bursts: int = 20
    clients: int = 3_000  # of a burst
    burst_s: float = 10.0
    calm_s: float = 60.0


QUICK = Size(
    publishes=5, kills=12, each=1, seconds=6.0, saturate=3.0, requests=3_000, bursts=2, burst_s=4.0, calm_s=4.0
)


@dataclass(frozen=True)
class Bound:
    """The bound of a scenario's figure: at most, or at least, a number."""

    scenario: str
    figure: str
    most: float
    least: float = float("-inf")

    def holds(self, found: dict[str, Any]) -> bool:
        """Whether the figure is within."""
        return self.least <= float(found[self.figure]) <= self.most

    def __str__(self) -> str:
        if self.least == self.most:
            return f"{self.most:g}"
        return f"≤ {self.most:g}" if self.most < float("inf") else f"≥ {self.least:g}"


def sized(quick: bool, **given: Any) -> Size:
    """The whole, or --quick, with what else is given."""
    return dataclasses.replace(
        QUICK if quick else Size(), **{key: value for key, value in given.items() if value is not None}
    )


NO_BOUND = float("inf")
BOUNDS = (
    Bound("publish", "count", NO_BOUND, 1),
    Bound("publish", "failed", 0),
    Bound("publish", "torn", 0),
    Bound("publish", "backwards", 0),
    Bound("publish", "slowest_s", publish.SERVES_WITHIN),
    Bound("kills", "count", NO_BOUND, 1),
    Bound("kills", "torn", 0),
    Bound("kills", "lost", 0),
    Bound("kills", "stuck", 0),
    Bound("heal", "count", NO_BOUND, 1),
    Bound("heal", "worst_detect_s", heal.DETECTED_WITHIN),
    Bound("heal", "worst_serve_s", heal.SERVES_WITHIN),
    Bound("heal", "wrong_generation", 0),
    Bound("overload", "sent_ratio", NO_BOUND, 0.97),
    Bound("overload", "p99_ratio", 3),
    Bound("overload", "hung", 0),
    Bound("overload", "failed", 0),
    Bound("overload", "recovered_s", 5),
    Bound("fuzz", "requests", NO_BOUND, 1),
    Bound("fuzz", "crashes", 0),
    Bound("fuzz", "wrong_status", 0),
    Bound("fuzz", "harmed", 0),
    Bound("fuzz", "leaked", 0),
    Bound("burst", "bursts", NO_BOUND, 1),
    Bound("burst", "exit_code", 0, 0),
    Bound("burst", "lost", 0),
    Bound("burst", "wrong", 0),
    Bound("burst", "failed", 0),
)
SCENARIOS = tuple(dict.fromkeys(bound.scenario for bound in BOUNDS))


def run(scenario: str, repository: Path, folder: Path, size: Size, seed: int, advance: Advance) -> dict[str, Any]:
    """One scenario; its figures.

    Args:
        scenario: one of SCENARIOS.
        repository: a model repository with an encoder, and a published catalog beside it; neither is changed.
        folder: an empty one, for whatever is written: Triton's logs too.
        size: how much.
        seed: of what is random.
        advance: called with (done, in all).

    Raises:
        server.triton.SetupError: a server did not start, or ended in a way that nothing could be measured.
    """
    return dataclasses.asdict(_RUNS[scenario](repository, folder, size, seed, advance))


def write(found: dict[str, dict[str, Any]], path: Path) -> None:
    """Write {scenario: {figure: value}}."""
    path.write_text(json.dumps(found, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def broken(found: dict[str, dict[str, Any]]) -> list[Bound]:
    """The bounds that do not hold, of the scenarios that were run."""
    return [bound for bound in BOUNDS if bound.scenario in found and not bound.holds(found[bound.scenario])]


def _publish(repository: Path, folder: Path, size: Size, seed: int, advance: Advance) -> Any:
    index = folder / "index"
    copied = repositories.copy(repository, folder / "model_repository", index_at=index)
    with _serving(copied, folder) as server:
        return publish.run(server, index, copied, size.publishes, advance)


def _kills(repository: Path, folder: Path, size: Size, seed: int, advance: Advance) -> Any:
    return kills.run(folder / "kills", repository, size.kills, seed, advance)


def _heal(repository: Path, folder: Path, size: Size, seed: int, advance: Advance) -> Any:
    return heal.run(repository, folder / "server.log", size.each, advance=advance)


def _overload(repository: Path, folder: Path, size: Size, seed: int, advance: Advance) -> Any:
    queries = [one.query for one in labelled.read(QUERIES)]
    with _serving(repository, folder) as server:
        return overload.run(server, queries, seconds=size.seconds, saturate=size.saturate, advance=advance)


def _fuzz(repository: Path, folder: Path, size: Size, seed: int, advance: Advance) -> Any:
    with _serving(repository, folder) as server:
        return fuzz.run(server, size.requests, seed, advance)


def _burst(repository: Path, folder: Path, size: Size, seed: int, advance: Advance) -> Any:
    with _serving(repository, folder) as server:
        return burst.run(server, size.bursts, size.clients, size.burst_s, size.calm_s, seed, advance)


_RUNS: dict[str, Callable[[Path, Path, Size, int, Advance], Any]] = {
    "publish": _publish, "kills": _kills, "heal": _heal, "overload": _overload, "fuzz": _fuzz, "burst": _burst,
}  # fmt: skip


@contextlib.contextmanager
def _serving(repository: Path, folder: Path) -> Iterator[Server]:
    with (folder / "server.log").open("wb") as log, Server(repository, free_ports(), log=log) as server:
        # Not wait_ready's None: a server without a catalog is what the publishes begin with.
        server.wait_ready()
        yield server
