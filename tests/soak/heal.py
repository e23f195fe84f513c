"""Scenario `heal`: processes are killed; how soon a probe fails, and how soon searches are answered again."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import malgil
import psutil

from server.triton import SetupError

VICTIMS = ("tritonserver", "tokenizer", "encoder", "scorer")
DETECTED_WITHIN, SERVES_WITHIN = 5.0, 30.0  # seconds
GIVE_UP = 120.0
START_LINES = 4  # of what a server says when it is ready
_LOOK_SECONDS = 0.05


@dataclass(frozen=True)
class Heal:
    """Figures of killing processes under `python -m server`.

    Attributes:
        count: kills.
        worst_detect_s: the longest from a kill to the first failed probe, seconds.
        worst_serve_s: the longest from a kill to the first search answered after that failure, seconds.
        median_serve_s: the median of these.
        wrong_generation: kills after which another generation served.
    """

    count: int
    worst_detect_s: float
    worst_serve_s: float
    median_serve_s: float
    wrong_generation: int


def run(
    repository: Path,
    log: Path,
    each: int = 5,
    victims: tuple[str, ...] = VICTIMS,
    advance: Callable[[int, int], None] = lambda done, total: None,
) -> Heal:
    """Kill tritonserver and each stub with SIGKILL so many times.

    Each round is a command of its own that loses each of its processes once, so that the pauses between restarts,
    which grow with failures in quick succession, are part of the figures.

    Args:
        repository: a model repository with an index beside it.
        log: where the servers' output goes.
        each: rounds.
        victims: what to kill: tritonserver, or a Python model.
        advance: called with (kills done, kills in all).

    Raises:
        server.triton.SetupError: a server did not start, or did not come back within two minutes.
    """
    detect: list[float] = []
    serve: list[float] = []
    wrong = 0
    for _ in range(each):
        with supervised(repository, log) as (launcher, url), malgil.SearchClient(url, retries=0) as client:
            generation = client.generation()
            for victim in victims:
                advance(len(serve), each * len(victims))
                killed = time.monotonic()
                find(launcher.pid, victim).kill()
                detect.append(_first(client, lambda found: found is None) - killed)
                serve.append(_first(client, lambda found: found is not None) - killed)
                wrong += client.generation() != generation
    advance(len(serve), len(serve))
    return Heal(len(serve), max(detect), max(serve), sorted(serve)[len(serve) // 2], wrong)


def _first(client: malgil.SearchClient, wanted: Callable[[int | None], bool]) -> float:
    """When a probe first came out like that: the generation that answered, or None."""
    deadline = time.monotonic() + GIVE_UP
    while time.monotonic() < deadline:
        found = None
        with contextlib.suppress(malgil.MalgilError):
            found = client.generation(timeout=2)
        if wanted(found):
            return time.monotonic()
        time.sleep(_LOOK_SECONDS)
    raise SetupError(f"a killed process was not noticed, or not made up for, within {GIVE_UP:.0f} s")


def find(launcher: int, name: str) -> psutil.Process:
    """Tritonserver, or the stub of a model, below the process of `python -m server`.

    Raises:
        server.triton.SetupError: it is not there.
    """
    for child in psutil.Process(launcher).children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if child.name() == name or f"{name}_0_0" in child.cmdline():
                return child
    raise SetupError(f"there is no process of {name}")


@contextlib.contextmanager
def supervised(repository: Path, log: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`python -m server` once it says ready, and the address of its gRPC."""
    command = [sys.executable, "-m", "server", "--free-ports", "--repository", str(repository)]
    with log.open("ab") as stream:
        launcher = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stream, text=True)
    try:
        assert launcher.stdout is not None
        printed = "".join(launcher.stdout.readline() for _ in range(START_LINES))
        url = re.search(r"gRPC +(\S+)", printed)
        if not url:
            raise SetupError(f"`python -m server` did not start: see {log}")
        yield launcher, url[1]
    finally:
        launcher.terminate()
        try:
            launcher.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            launcher.kill()
            launcher.communicate()
