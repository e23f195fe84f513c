"""The commands `python -m benchmarks sweep` and `report`, and what they show while they work."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from benchmarks import RESULTS
from benchmarks.options import CONSOLE, FILE, Names, Numbers, Seconds
from benchmarks.shapes import ENCODERS
from benchmarks.sweep.plan import CONCURRENCY, LENGTHS, MODELS, Cell, Clock, Line, Options

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


@click.command(
    short_help="Throughput and latency by sequence length.",
    epilog="An hour or two on two cores; stopped, the same command goes on where it was. It ends with the page and the "
    "plots of `report`. Example: `python -m benchmarks sweep --encoders bundled --lengths 8,32 --seconds 3`.",
)
@click.option("--quick", is_flag=True, help="Under 5 minutes: two encoders, few lengths, 3 s a figure.")
@click.option("--encoders", type=Names(ENCODERS), metavar="A,B", help=f"Default: {','.join(ENCODERS)}.")
@click.option("--models", type=Names(MODELS), metavar="A,B", help=f"Default: {','.join(MODELS)}.")
@click.option("--lengths", type=Numbers(), metavar="N,M", help=f"In tokens. Default: {','.join(map(str, LENGTHS))}.")
@click.option(
    "--concurrency", type=Numbers(), metavar="N,M", help=f"Clients. Default: {','.join(map(str, CONCURRENCY))}."
)
@click.option("--seconds", type=Seconds(), help="How long each figure is measured. Default: 8, quick: 3.")
@click.option(
    "--longest",
    "longest_s",
    type=Seconds(),
    help="Leave out what takes longer for two requests of every client. Default: 40, quick: 12.",
)
@click.option("--output", type=FILE, help="Default: benchmarks/results/sweep.jsonl, quick: …/sweep-quick.jsonl.")
@click.option("--fresh", is_flag=True, help="Forget what the file holds instead of going on from it.")
def sweep(**given: Any) -> None:
    """Measure throughput and latency by sequence length and concurrency, over three encoders."""
    from benchmarks.sweep.measure import sweep as measure

    chosen = options(**given)
    clock, left = Clock(chosen), set(chosen.cells())
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[left]} left · {task.description}"))
    with Progress(*columns, console=CONSOLE, transient=True) as bar:
        task = bar.add_task("", total=len(left), left=_duration(clock.seconds(left)))

        def done(cell: Cell, line: Line | None) -> None:
            left.discard(cell)
            if line is not None and "requests_per_s" in line:
                clock.learn(cell, line["requests_per_s"])
            bar.update(task, advance=1, left=_duration(clock.seconds(left)))
            if line is not None:
                named = f"{cell.encoder} {cell.model:8}{cell.length:4} tokens {cell.concurrency:4}"
                CONSOLE.print(f"{named} × {_summary(line)}", soft_wrap=True)

        try:
            measure(chosen, lambda text: bar.update(task, description=text), done)
        except KeyboardInterrupt:
            CONSOLE.print(f"stopped with {len(left)} figures to go: the same command goes on from here")
            raise click.Abort from None
    write_report(chosen.output)


@click.command(short_help="The tables and plots of a sweep, from its file.")
@click.option("--input", "source", type=FILE, default=OUTPUT, help="Default: benchmarks/results/sweep.jsonl.")
def report(source: Path) -> None:
    """Write the page of a sweep and its plots beside its file."""
    write_report(source)


def options(quick: bool = False, **given: Any) -> Options:
    """What the command line asks for: --quick or the whole, with what else is given."""
    base = QUICK if quick else Options(output=OUTPUT)
    return dataclasses.replace(base, **{name: value for name, value in given.items() if value is not None})


def write_report(path: Path) -> None:
    """Write the page and plots of a sweep's file.

    Raises:
        FileNotFoundError: there is no such file, or it is empty.
    """
    from benchmarks.sweep import page, plan, plots

    lines = plan.read(path)
    if not lines:
        raise FileNotFoundError(f"{path} holds no figures: run `python -m benchmarks sweep` first")
    pictures = plots.write(lines, path.parent, path.stem)
    written = path.with_suffix(".md")
    written.write_text(page.page(lines, [picture.name for picture in pictures]), encoding="utf-8")
    CONSOLE.print(f"{written} and {len(pictures)} plots beside it", soft_wrap=True)


def _summary(line: Line) -> str:
    for word in ("skipped", "failed"):
        if word in line:
            return f"{word}: {line[word]}"
    latency = line["latency_ms"]
    unsteady = "" if line["stable"] else ", not stable"
    return f"{line['requests_per_s']:.1f}/s, p50 {latency['p50']:.1f} ms, p99 {latency['p99']:.1f} ms{unsteady}"


def _duration(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"
