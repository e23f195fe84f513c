"""The command `python -m benchmarks compare`: runs comparisons, both sides of each in turns (A B A B …)."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks.compare.ratios import Ratio, table
from benchmarks.options import CONSOLE, FILE, Names
from benchmarks.perf_analyzer import LoadError
from benchmarks.serving import started
from benchmarks.sweep.plan import SweepError
from export.encoder.export import ParityError
from server.launcher import REPOSITORY, Server
from server.triton import SetupError

# Each module has `compare(bench: Bench) -> list[Ratio]`.
COMPARISONS = {
    "a": ("ensemble", "the search ensemble against the same work in one process"),
    "c": ("lengths", "mixed lengths: packed and ragged against three ways of padding, and a length-sorted ceiling"),
    "d": ("latency", "one client's median against tokenize + encode + score"),
    "e": ("scores", "scoring against the bare matrix product, and its growth"),
    "f": ("framework", "against sentence-transformers behind FastAPI"),
    "h": ("precisions", "the bundled encoder in int8 against fp32"),
    "j": ("infinity", "embeddings against Infinity, in an environment of its own"),
}


@dataclass
class Bench:
    """Settings of a run, and what comparisons share: turns, servers, progress.

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
        """A Triton for this comparison alone.

        Raises:
            server.triton.SetupError: it does not answer, or no catalog is published.
        """
        self.say("starting a server")
        with started(repository, self.folder) as server:
            yield server


@click.command(
    short_help="Ratios to ceilings, and to the usual alternatives.",
    epilog="\b\nComparisons:\n" + "\n".join(f"  {letter}  {text}" for letter, (_, text) in COMPARISONS.items()),
)
@click.option("--only", type=Names(COMPARISONS), metavar="a,c", help="These comparisons alone. Default: all.")
@click.option("--runs", type=click.IntRange(1), help="Runs of each side. Default: 5, quick: 2.")
@click.option("--quick", is_flag=True, help="Shorter runs, smaller searches for the best setting.")
@click.option(
    "--json",
    "file",
    type=FILE,
    help="Write [{id, name, ratio, low, high, target, …}], and a page of the same name ending in .md.",
)
def compare(only: Sequence[str] | None, runs: int | None, quick: bool, file: Path | None) -> None:
    """Measure both sides of each comparison in turns on this machine, and show their ratios."""
    from benchmarks import machine
    from benchmarks.compare import page

    found: list[Ratio] = []
    try:
        for ratios in run(only or list(COMPARISONS), runs or (2 if quick else 5), quick, CONSOLE):
            found += ratios
    finally:  # what was measured before an error or Ctrl-C took minutes, and is worth keeping
        if found:
            CONSOLE.print(table(found))
        if found and file:
            where = {"machine": machine.machine(), "code": machine.code()}
            written = [{**ratio.to_json(), **where} for ratio in found]
            file.write_text(json.dumps(written, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
            file.with_suffix(".md").write_text(page.page(written), encoding="utf-8")


def run(only: Sequence[str], runs: int, quick: bool, console: Console) -> Iterator[list[Ratio]]:
    """Run the comparisons of these letters one after the other; each one's ratios as it is through.

    Raises:
        server.triton.SetupError: a comparison cannot run as things are; the text begins with its letter.
    """
    for letter in only:
        module = import_module(f"benchmarks.compare.{COMPARISONS[letter][0]}")
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
