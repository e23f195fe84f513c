"""Command line of `python -m benchmarks sizing`."""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table


def add(command: Callable[..., argparse.ArgumentParser], console: Console) -> None:
    """Add the command; `command(name, run, text)` makes one."""
    sizing = command(
        "sizing",
        lambda arguments: _sizing(arguments, console),
        "Memory of a server by encoder and phrases, at rest and while a publish takes over, beside what the formula of "
        "docs/sizing.md says, and how long a publish takes to serve. Servers of its own; a minute for each size. Other "
        "Triton servers on the machine make the figures too small: what they share is counted in part.",
    )
    sizing.add_argument(
        "--encoder", nargs="+", default=["bundled"], metavar="NAME",
        help="bundled, koelectra-small-v3, bert-base-multilingual-cased (shapes with random weights; default: bundled)",
    )  # fmt: skip
    sizing.add_argument("--phrases", type=_sizes, default=(1_000, 10_000, 100_000), metavar="N,M", help="index sizes")
    sizing.add_argument("--json", type=Path, metavar="FILE", help="write what was measured")


def _sizes(text: str) -> tuple[int, ...]:
    sizes = text.split(",")
    if not all(size.isdigit() and int(size) >= 7 for size in sizes):
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of whole numbers from 7, as 1000,10000")
    return tuple(map(int, sizes))


def _sizing(arguments: argparse.Namespace, console: Console) -> None:
    from benchmarks import sizing

    points: list[sizing.Point] = []
    table = Table(
        "encoder", "phrases", "at rest", "formula", "taking over", "formula", "disk", "load", "takeover",
        title="MiB, and seconds of a load and a takeover",
    )  # fmt: skip
    table.columns[0].no_wrap, table.columns[0].min_width = True, 10
    for encoder in arguments.encoder:
        with tempfile.TemporaryDirectory(prefix="malgil-sizing-") as folder, console.status(encoder) as status:
            points += sizing.measure(encoder, arguments.phrases, Path(folder), status.update)
    for one in points:
        rest, swap = (
            sizing.predicted_mib(one.model_mib, one.tokenizer_json_mib, one.dimension, one.phrases, swap)
            for swap in (False, True)
        )
        figures = (one.resident_mib, rest, one.peak_mib, swap, one.disk_mib)
        seconds = (f"{figure:.2f}" for figure in (one.load_s, one.takeover_s))
        table.add_row(one.encoder, f"{one.phrases:,}", *(f"{figure:,.0f}" for figure in figures), *seconds)
    console.print(table)
    if arguments.json:
        arguments.json.write_text(json.dumps(sizing.to_json(points), indent=2) + "\n", encoding="utf-8")
