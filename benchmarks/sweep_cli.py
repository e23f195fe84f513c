"""The options of `python -m benchmarks sweep` and `report`, and what they show while they work."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from benchmarks.shapes import ENCODERS
from benchmarks.sweep_plan import CONCURRENCY, LENGTHS, MODELS, Cell, Clock, Options
from benchmarks.sweep_record import Line
from export import ROOT

RESULTS = ROOT / "benchmarks" / "results"
OUTPUT = RESULTS / "sweep.jsonl"
QUICK = Options(
    encoders=("koelectra-small-v3", "bundled"),
    models=("search", "encoder"),
    lengths=(8, 32, 128),
    concurrency=(1, 64),
    seconds=3.0,
    longest_s=12.0,
    output=RESULTS / "sweep-quick.jsonl",
)

Add = Callable[[str, Callable[[argparse.Namespace], None], str], argparse.ArgumentParser]


def add(commands: Add, console: Console) -> None:
    """Add the two commands."""
    sweep = commands(
        "sweep",
        lambda arguments: _sweep(arguments, console),
        "Throughput and latency by sequence length and concurrency, over three encoders.",
    )
    sweep.add_argument("--quick", action="store_true", help="under 5 minutes: two encoders, few lengths, 3 s a figure")
    sweep.add_argument("--encoders", type=_names(ENCODERS), metavar="A,B", help=f"default: {','.join(ENCODERS)}")
    sweep.add_argument("--models", type=_names(MODELS), metavar="A,B", help=f"default: {','.join(MODELS)}")
    sweep.add_argument("--lengths", type=_numbers, metavar="N,M", help=f"tokens (default: {_listed(LENGTHS)})")
    sweep.add_argument("--concurrency", type=_numbers, metavar="N,M", help=f"clients (default: {_listed(CONCURRENCY)})")
    sweep.add_argument("--seconds", type=_seconds, help="how long each figure is measured (default: 8, quick: 3)")
    sweep.add_argument(
        "--longest",
        type=_seconds,
        dest="longest_s",
        metavar="SECONDS",
        help="leave out what two requests of every client would outlast (default: 40, quick: 12)",
    )
    sweep.add_argument(
        "--output", type=Path, help="default: benchmarks/results/sweep.jsonl, quick: …/sweep-quick.jsonl"
    )
    sweep.add_argument("--fresh", action="store_true", help="forget what the file holds instead of going on from it")
    report = commands(
        "report", lambda arguments: _report(arguments.input, console), "Make a sweep's tables and plots from its file."
    )
    report.add_argument("--input", type=Path, default=OUTPUT, help="default: benchmarks/results/sweep.jsonl")


def options(arguments: argparse.Namespace) -> Options:
    """What the command line asks for: --quick or the whole, with what else it says."""
    given = {
        field.name: getattr(arguments, field.name)
        for field in dataclasses.fields(Options)
        if getattr(arguments, field.name) is not None
    }
    return dataclasses.replace(QUICK if arguments.quick else Options(output=OUTPUT), **given)


def _sweep(arguments: argparse.Namespace, console: Console) -> None:
    from benchmarks.sweep import sweep

    chosen = options(arguments)
    clock, left = Clock(chosen), set(chosen.cells())
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[left]} left · {task.description}"))
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=len(left), left=_duration(clock.seconds(left)))

        def done(cell: Cell, line: Line | None) -> None:
            left.discard(cell)
            if line is not None and "requests_per_s" in line:
                clock.learn(cell, line["requests_per_s"])
            bar.update(task, advance=1, left=_duration(clock.seconds(left)))
            if line is not None:
                named = f"{cell.encoder} {cell.model:8}{cell.length:4} tokens {cell.concurrency:4}"
                console.print(f"{named} × {_said(line)}", soft_wrap=True)

        try:
            sweep(chosen, lambda text: bar.update(task, description=text), done)
        except KeyboardInterrupt:
            console.print(f"stopped with {len(left)} figures to go: the same command goes on from here")
            raise SystemExit(130) from None
    _report(chosen.output, console)


def _report(path: Path, console: Console) -> None:
    from benchmarks import plots, report, sweep_record

    lines = sweep_record.read(path)
    if not lines:
        raise FileNotFoundError(f"{path} holds no figures: run `python -m benchmarks sweep` first")
    pictures = plots.write(lines, path.parent, path.stem)
    page = path.with_suffix(".md")
    page.write_text(report.page(lines, [picture.name for picture in pictures]), encoding="utf-8")
    console.print(f"{page} and {len(pictures)} plots beside it", soft_wrap=True)


def _said(line: Line) -> str:
    for word in ("skipped", "failed"):
        if word in line:
            return f"{word}: {line[word]}"
    latency = line["latency_ms"]
    unsteady = "" if line["stable"] else ", not stable"
    return f"{line['requests_per_s']:.1f}/s, p50 {latency['p50']:.1f} ms, p99 {latency['p99']:.1f} ms{unsteady}"


def _duration(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"


def _listed(numbers: tuple[int, ...]) -> str:
    return ",".join(map(str, numbers))


def _names(known: tuple[str, ...]) -> Callable[[str], tuple[str, ...]]:
    def parse(text: str) -> tuple[str, ...]:
        for name in text.split(","):
            if name not in known:
                raise argparse.ArgumentTypeError(f"{name!r} is not among {', '.join(known)}")
        return tuple(text.split(","))

    return parse


def _numbers(text: str) -> tuple[int, ...]:
    for number in text.split(","):
        if not number.isdigit() or int(number) < 1:
            raise argparse.ArgumentTypeError(f"{number!r} is not a whole number from 1")
    return tuple(map(int, text.split(",")))


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0")
    return value
