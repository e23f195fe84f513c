"""`python -m benchmarks events`: events through a live server, how many are lost, and searches beside them."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from benchmarks import machine, pages
from benchmarks.events.measure import measure
from benchmarks.options import CONSOLE, FILE, Seconds
from server.launcher import REPOSITORY


@click.command(short_help="Events: how many are lost, how fast they come in, the p50 of searches beside them.")
@click.option("--events", "number", type=click.IntRange(100), default=1_000_000, show_default=True)
@click.option(
    "--rate", type=click.IntRange(1), default=5000, show_default=True, help="Events a second beside searches."
)
@click.option(
    "--seconds", type=Seconds(), default=5.0, show_default=True, help="With events, and without, of each pair."
)
@click.option("--note", default="", help="Shown on the page, such as what else ran meanwhile.")
@click.option("--json", "file", type=FILE, help="Write the figures there, and a page beside it.")
def events(number: int, rate: int, seconds: float, note: str, file: Path | None) -> None:
    """Send events to a server that is started for this, stop it, and read what is in its log.

    A tenth is sent as fast as it is answered. The others come at --rate beside one client that searches without a
    pause, in turns with as long a time without events. Goals: none lost, a p50 of at most 1.03 times that without.
    """
    with tempfile.TemporaryDirectory(prefix="malgil-events-") as folder:
        figures = measure(REPOSITORY, Path(folder), number, rate, seconds, CONSOLE.print).to_json()
    result = {"machine": machine.machine(), "code": machine.code(), "note": note, **figures}
    table = Table("figure", "", title=f"{number:,} events")
    for name, value in rows(result):
        table.add_row(name, value)
    CONSOLE.print(table)
    pages.write(file, result, page)


def rows(result: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The figures in words, and as they are shown."""
    pairs = result["pairs"]
    ratios = sorted(pair["ratio"] for pair in pairs)
    quarter = len(ratios) // 4
    return [
        ("lost, of those that the server took", f"{result['lost']:,}"),
        ("dropped, failed", f"{result['dropped']:,}, {result['failed']:,}"),
        ("in the log more than once", f"{result['doubled']:,}"),
        ("segments left open by the stop", f"{result['left_open']:,}"),
        ("bytes of an event in the log", f"{result['bytes_per_event']:.0f}"),
        ("events/s, one client, no searches", f"{result['burst_per_s']:,.0f}"),
        ("events/s beside searches", f"{sum(pair['rate'] for pair in pairs) / len(pairs):,.0f}"),
        ("p50 of a search with events over without, median of the pairs", f"{result['ratio']:.3f}"),
        ("the middle half of the pairs", f"{ratios[quarter]:.3f} to {ratios[-1 - quarter]:.3f}"),
        ("all pairs", f"{ratios[0]:.3f} to {ratios[-1]:.3f}, {len(pairs)} pairs"),
    ]


def page(result: Mapping[str, Any]) -> str:
    """The page, in Markdown."""
    parts = [
        "# Events",
        pages.made_by("events", result, ": server, the process that sends and the client that searches on one machine"),
        *([result["note"]] if result["note"] else []),
        f"{result['events']:,} events in batches of 64, a tenth of them without searches. In each pair one client "
        "searches without a pause, as long without events as with them, the first of the two alternating. Then the "
        "server is stopped, and its log read.",
        "\n".join(["| figure | |", "| --- | ---: |", *(f"| {name} | {value} |" for name, value in rows(result))]),
    ]
    return "\n\n".join(parts) + "\n"
