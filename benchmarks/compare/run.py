"""Runs comparisons: sides in turns (A B A B …), servers and processes of their own, progress on the way."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks.compare.houses import REPOSITORY
from benchmarks.compare.ratios import Ratio
from benchmarks.perf_analyzer import LoadError
from benchmarks.sweep_plan import SweepError
from export.encoder.export import ParityError
from server.launcher import Server, free_ports
from server.triton import SetupError

# Each module has `compare(bench: Bench) -> list[Ratio]`.
MODULES = {
    "a": "ensemble",
    "b": "batching",
    "c": "lengths",
    "d": "latency",
    "e": "scores",
    "f": "framework",
    "g": "backend",
    "h": "precisions",
    "i": "letters",
}


@dataclass
class Bench:
    """What a comparison needs of its surroundings.

    Attributes:
        runs: how often each side is measured.
        seconds: how long one measurement takes.
        quick: whether grids and sizes are to be small.
        folder: scratch, removed afterwards.
        say: shows what is being done.
        advance: shows which side is measured now, and how many of all measurements are done.
    """

    runs: int
    seconds: float
    quick: bool
    folder: Path
    say: Callable[[str], None] = lambda _: None
    advance: Callable[[str, int, int], None] = lambda name, done, total: None

    def in_turns(self, sides: Mapping[str, Callable[[], float]]) -> dict[str, list[float]]:
        """Measure every side once a run, one after the other, so that a drift of the machine's speed falls on all."""
        figures: dict[str, list[float]] = {name: [] for name in sides}
        total = self.runs * len(sides)
        for run in range(self.runs):
            for place, (name, measure) in enumerate(sides.items()):
                self.advance(name, run * len(sides) + place, total)
                figures[name].append(measure())
        return figures

    @contextlib.contextmanager
    def serving(self, repository: Path = REPOSITORY) -> Iterator[Server]:
        """A Triton of its own, until the comparison is through.

        Raises:
            server.triton.SetupError: it does not answer, or no catalogue is published.
        """
        self.say("starting a server")
        log = self.folder / f"triton-{repository.name}.log"
        with log.open("wb") as stream, Server(repository, free_ports(), log=stream) as server:
            try:
                generation = server.wait_ready()
            except SetupError as error:
                kept = shutil.copy(log, Path(tempfile.gettempdir(), "malgil-triton-failed.log"))
                raise SetupError(f"{error}; {kept}") from None
            if generation is None:
                raise SetupError("the search does not answer: run `make export` first")
            yield server


def run(only: Sequence[str], runs: int, quick: bool, console: Console) -> Iterator[list[Ratio]]:
    """Run the comparisons of these letters one after the other; each one's ratios as it is through.

    Raises:
        server.triton.SetupError: a comparison cannot run as things are; the text begins with its letter.
    """
    for letter in only:
        module = import_module(f"benchmarks.compare.{MODULES[letter]}")
        try:
            with _bench(letter, runs, quick, console) as bench:
                yield module.compare(bench)
        except (SetupError, LoadError, SweepError, ParityError, FileNotFoundError) as error:
            raise SetupError(f"{letter}: {error}") from None


@contextlib.contextmanager
def _bench(letter: str, runs: int, quick: bool, console: Console) -> Iterator[Bench]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with (
        tempfile.TemporaryDirectory(prefix="malgil-compare-") as folder,
        Progress(*columns, console=console, transient=True) as progress,
    ):
        task = progress.add_task(letter, total=None)

        def say(text: str) -> None:
            progress.update(task, description=f"{letter}: {text}")
            if not console.is_terminal:
                console.print(f"  {letter}: {text}")

        def advance(side: str, done: int, total: int) -> None:
            progress.update(task, description=f"{letter}: {side}", completed=done, total=total)

        yield Bench(runs, 2.0 if quick else 5.0, quick, Path(folder), say, advance)
