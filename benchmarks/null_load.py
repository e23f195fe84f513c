"""`python -m benchmarks null-phrases`: the throughput of a server's search with null phrases over that without."""

from __future__ import annotations

import random
import statistics
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import click
from malgil_core.catalog.reading import read

from benchmarks import CATALOG, QUERIES, SLIPS, perf_analyzer
from benchmarks.options import CONSOLE
from benchmarks.serving import serving
from export.catalog import labelled
from export.catalog.noise import with_noise

MOST = 2000  # different queries
SECONDS = 300.0  # after which a run is given up


def measure(
    url: str, queries: Sequence[str], turns: int, requests: int, clients: int, say: Callable[[str], None]
) -> list[float]:
    """The ratio of each turn: the same queries with `null` true and false, the first of the two alternating.

    Args:
        url: HOST:PORT of gRPC.
        queries: sent in turns.
        turns: how many.
        requests: of each run.
        clients: how many send them at once.
        say: called with a line for each turn.
    """
    ratios = []
    with tempfile.TemporaryDirectory(prefix="malgil-load-") as folder:
        files = {}
        for on in (True, False):
            steps = [{"query": query, "null": on} for query in queries]
            files[on] = perf_analyzer.write_input(Path(folder, f"{on}.json"), steps)
        for turn in range(turns):
            rates = {}
            for on in (True, False) if turn % 2 else (False, True):
                rates[on] = perf_analyzer.run(url, "search", files[on], clients, requests, SECONDS).requests_per_s
            ratios.append(rates[True] / rates[False])
            say(f"with null phrases {rates[True]:.0f} requests/s, without {rates[False]:.0f}: {ratios[-1]:.3f}")
    return ratios


@click.command("null-phrases", short_help="Throughput of a server's search with null phrases over that without.")
@click.option("--turns", type=click.IntRange(1), default=10, show_default=True)
@click.option("--requests", type=click.IntRange(1), default=3000, show_default=True, help="Of each run.")
@click.option("--clients", type=click.IntRange(1), default=64, show_default=True)
@click.option("--url", help="gRPC HOST:PORT of a running server, with null topics. Default: start one.")
def null_phrases(turns: int, requests: int, clients: int, url: str | None) -> None:
    """Measure what null phrases cost a whole server, by perf_analyzer in turns.

    The queries are the labelled ones, and what becomes of them when people type and mistype. Each turn asks them twice,
    with null phrases and with these switched off by the request.
    """
    asked = with_noise([one for file in (QUERIES, SLIPS) for one in labelled.read(file)], read(CATALOG))
    queries = [one.query for one in asked]
    random.Random(0).shuffle(queries)
    with serving(url) as found:
        ratios = measure(found, queries[:MOST], turns, requests, clients, CONSOLE.print)
    CONSOLE.print(f"median {statistics.median(ratios):.3f}, {min(ratios):.3f} to {max(ratios):.3f}")
