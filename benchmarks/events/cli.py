"""`python -m benchmarks events`: events through a live server, how many are lost, and searches beside them."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from benchmarks import machine, pages
from benchmarks.events.measure import measure
from benchmarks.options import CONSOLE, FILE, Numbers, Seconds
from server.launcher import REPOSITORY


@click.command(short_help="Events: how many are lost, how fast they come in, the p50 of searches beside them.")
@click.option("--events", "number", type=click.IntRange(100), default=1_000_000, show_default=True)
@click.option(
    "--rates",
    type=Numbers(),
    default=(300, 1500, 5000),
    show_default="300,1500,5000",
    help="Events a second beside searches.",
)
@click.option("--pairs", type=click.IntRange(1), default=8, show_default=True, help="At each rate.")
@click.option(
    "--seconds", type=Seconds(), default=5.0, show_default=True, help="With events, and without, of each pair."
)
@click.option("--note", default="", help="Shown on the page, such as what else ran meanwhile.")
@click.option("--json", "file", type=FILE, help="Write the figures there, and a page beside it.")
def events(number: int, rates: tuple[int, ...], pairs: int, seconds: float, note: str, file: Path | None) -> None:
    """Send events to a server that is started for this, stop it, and read what is in its log.

    Most are sent as fast as they are answered. The others come at --rates beside one client that searches without a
    pause, in turns with as long a time without events. A search makes about three events, so that such a client's own
    are some 300 a second; the server's most searches would make some 1,500. Goals: none lost, a p50 of at most 1.03
    times that without.
    """
    with tempfile.TemporaryDirectory(prefix="malgil-events-") as folder:
        figures = measure(REPOSITORY, Path(folder), number, rates, pairs, seconds, CONSOLE.print).to_json()
    result = {"machine": machine.machine(), "code": machine.code(), "note": note, **figures}
    table = Table("figure", "", title=f"{number:,} events")
    for name, value in rows(result):
        table.add_row(name, value)
    CONSOLE.print(table)
    pages.write(file, result, page)


def rows(result: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The figures in words, and as they are shown."""
    return [
        ("lost, of those that the server took", f"{result['lost']:,}"),
        ("dropped, failed", f"{result['dropped']:,}, {result['failed']:,}"),
        ("in the log more than once", f"{result['doubled']:,}"),
        ("segments left open by the stop", f"{result['left_open']:,}"),
        ("bytes of an event in the log", f"{result['bytes_per_event']:.0f}"),
        ("events/s, one client, no searches", f"{result['burst_per_s']:,.0f}"),
        *(
            (
                f"p50 of a search beside {rate:,} events/s, over without",
                _ratios([p for p in result["pairs"] if p["wanted"] == rate]),
            )
            for rate in dict.fromkeys(pair["wanted"] for pair in result["pairs"])
        ),
    ]


def _ratios(pairs: Sequence[Mapping[str, Any]]) -> str:
    """The median ratio of some pairs, and the lowest and highest."""
    ratios = sorted(pair["ratio"] for pair in pairs)
    return f"{statistics.median(ratios):.3f} ({ratios[0]:.3f} to {ratios[-1]:.3f}; {len(ratios)} pairs)"


def page(result: Mapping[str, Any]) -> str:
    """The page, in Markdown."""
    parts = [
        "# Events",
        pages.made_by("events", result, ": server, the process that sends and the client that searches on one machine"),
        *([result["note"]] if result["note"] else []),
        f"{result['events']:,} events in batches of 64, most of them without searches. In each pair one client "
        "searches without a pause, as long without events as with them, the first of the two alternating. The process "
        "that sends is nice: apps send from machines of their own. Then the server is stopped, and its log read.",
        "\n".join(["| figure | |", "| --- | ---: |", *(f"| {name} | {value} |" for name, value in rows(result))]),
    ]
    return "\n\n".join(parts) + "\n"
