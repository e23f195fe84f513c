"""`python -m benchmarks loop`: invented people search and choose, and what is learned from it is measured."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from benchmarks import CATALOG, NULL_TOPICS, QUERIES, machine, pages
from benchmarks.options import CONSOLE, FILE


@click.command(short_help="The loop, simulated: layers, federated start, retraining, experiments.")
@click.option("--people", type=click.IntRange(8), default=48, show_default=True, help="Who search.")
@click.option("--others", type=click.IntRange(8), default=32, show_default=True, help="Who are new afterwards.")
@click.option("--seeds", type=click.IntRange(1), default=2, show_default=True, help="Runs of what learns.")
@click.option("--devices", type=click.IntRange(1), default=1000, show_default=True, help="Of a federated start.")
@click.option("--experiments", type=click.IntRange(2), default=200, show_default=True, help="Of each of four kinds.")
@click.option("--steps", type=click.IntRange(0), default=60, show_default=True, help="Of a training; 0: no retraining.")
@click.option(
    "--quick", is_flag=True, help="One seed, 100 devices, 10 experiments, no retraining: only to see that it runs."
)
@click.option("--json", "file", type=FILE, help="Write the figures there, and a page beside it.")
def loop(
    people: int, others: int, seeds: int, devices: int, experiments: int, steps: int, quick: bool, file: Path | None
) -> None:
    """Simulate the loop: invented people search the sample catalog, choose with noise, and what is learned is measured.

    A simulation: it shows what the parts do if people are like this, not what people are like. Needs no server, but
    the exported encoder.
    """
    from malgil_core.catalog.reading import read_catalog

    from benchmarks.loop.page import page
    from benchmarks.loop.run import Size, run
    from benchmarks.loop.world import World
    from export.catalog import labelled
    from export.catalog.embedding import offline
    from server.launcher import REPOSITORY

    started = time.monotonic()
    size = Size(people, others, seeds, devices, experiments, steps=steps)
    if quick:
        size = Size(people, others, 1, 100, 10, 200, 0)
    catalog = read_catalog(CATALOG, [NULL_TOPICS])
    world = World(catalog.services, catalog.null_topics, offline(REPOSITORY), offline(REPOSITORY, kind="query"))

    def say(text: str) -> None:
        CONSOLE.print(f"{time.monotonic() - started:6.0f} s  {text}", markup=False)

    result: dict[str, Any] = run(world, catalog, labelled.read(QUERIES), size, say)
    result = {"machine": machine.machine(), "code": machine.code(), "seconds": time.monotonic() - started, **result}
    _show(result)
    pages.write(file, result, page)


def _show(result: dict[str, Any]) -> None:
    """The figures in short; the page has them all."""
    CONSOLE.print("A simulation: people, what they mean and how they choose are invented.")
    for queries in result["queries"]:
        table = Table("", *(f"after {count}" for count in ("0", "5", "20", "100")), title=f"recall@1, {queries}")
        for name, of in result["learning"].items():
            table.add_row(name, *(f"{one['recall@1']:.3f}" for one in of[queries].values()))
        CONSOLE.print(table)
    harm = result["labelled"]["20"]
    CONSOLE.print(f"labelled queries: {harm['without']:.3f} without a layer, {harm['with_layers']:.3f} with")
    for count, one in result["federated"]["typed"].items():
        CONSOLE.print(f"new people after {count}: {one['zero']:.3f} from zero, {one['federated']:.3f} federated")
    table = Table("experiments", "found a", "found b", "of", title="a is the worse variant, or equal")
    for name in ("interleaving_planted", "interleaving_equals", "ab_planted", "ab_equals"):
        one = result["experiments"][name]
        table.add_row(name.replace("_", ", "), *(str(one[field]) for field in ("first", "second", "experiments")))
    CONSOLE.print(table)
    for one in result.get("retraining", {}).get("found", ()):
        CONSOLE.print(f"{one['encoder']}: recall@1 of clear queries {one['clear'][0]:.3f}", markup=False)
