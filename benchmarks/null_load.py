"""`python -m benchmarks null-phrases`: the throughput of a server's search with null phrases over that without."""

from __future__ import annotations

import contextlib
import random
import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import click
from malgil_core.catalog.reading import NullTopic, read, read_catalog
from malgil_core.encoder import EncoderMetadata
from malgil_core.index import writer

from benchmarks import CATALOG, NULL_TOPICS, QUERIES, SLIPS, perf_analyzer
from benchmarks.compare import repositories
from benchmarks.options import CONSOLE
from benchmarks.serving import serving, started
from export.catalog import embedding, labelled
from export.catalog.noise import with_noise
from server.launcher import REPOSITORY

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


def drawn(topics: Sequence[NullTopic], count: int) -> list[NullTopic]:
    """`count` phrases of null topics, at random; topics without one are left out."""
    phrases = [(topic.name, phrase) for topic in topics for phrase in topic.phrases]
    kept = set(random.Random(0).sample(phrases, min(count, len(phrases))))
    few = [replace(t, phrases=tuple(one for one in t.phrases if (t.name, one) in kept)) for t in topics]
    return [topic for topic in few if topic.phrases]


@contextlib.contextmanager
def _serving(phrases: int | None, url: str | None) -> Iterator[str]:
    """The gRPC address of a server; with `phrases`, of one that has so many null phrases."""
    if phrases is None:
        with serving(url) as found:
            yield found
        return
    with tempfile.TemporaryDirectory(prefix="malgil-bench-") as name:
        folder = Path(name)
        catalog = read_catalog(CATALOG, [NULL_TOPICS])
        writer.publish(
            catalog.services, folder / "index", EncoderMetadata.of(REPOSITORY), embedding.offline(REPOSITORY),
            null_topics=drawn(catalog.null_topics, phrases),
        )  # fmt: skip
        repository = repositories.copy(REPOSITORY, folder / "model_repository", index_at=folder / "index")
        with started(repository, folder) as server:
            yield server.grpc_url


@click.command("null-phrases", short_help="Throughput of a server's search with null phrases over that without.")
@click.option("--turns", type=click.IntRange(1), default=10, show_default=True)
@click.option("--requests", type=click.IntRange(1), default=3000, show_default=True, help="Of each run.")
@click.option("--clients", type=click.IntRange(1), default=64, show_default=True)
@click.option("--phrases", type=click.IntRange(1), help="Serve so many of the sample's. Default: those of index/.")
@click.option("--url", help="gRPC HOST:PORT of a running server, with null topics. Default: start one.")
def null_phrases(turns: int, requests: int, clients: int, phrases: int | None, url: str | None) -> None:
    """Measure what null phrases cost a whole server, by perf_analyzer in turns.

    The queries are the labelled ones, and what becomes of them when people type and mistype. Each turn asks them twice,
    with null phrases and with these switched off by the request.
    """
    if phrases and url:
        raise click.UsageError("--phrases is for a server that is started here: it cannot go with --url")
    asked = with_noise([one for file in (QUERIES, SLIPS) for one in labelled.read(file)], read(CATALOG))
    queries = [one.query for one in asked]
    random.Random(0).shuffle(queries)
    with _serving(phrases, url) as found:
        ratios = measure(found, queries[:MOST], turns, requests, clients, CONSOLE.print)
    CONSOLE.print(f"median {statistics.median(ratios):.3f}, {min(ratios):.3f} to {max(ratios):.3f}")
