"""Comparison a: the `search` ensemble under 256 clients against the same work in one process, at its best."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from benchmarks import shapes, texts
from benchmarks.compare import inprocess, rates, repositories, traffic
from benchmarks.compare.load import Load
from benchmarks.compare.ratios import Ratio
from benchmarks.compare.run import Bench
from benchmarks.perf_analyzer import write_input

CLIENTS = 256
TARGET = 0.75
SMALLEST, SHORTEST, SMALLEST_TARGET = "koelectra-small-v3", 8, 0.8  # there the server's own cost shows


def compare(bench: Bench) -> list[Ratio]:
    """Ratios of queries a second: labelled queries, and the smallest encoder on queries of eight tokens."""
    words = [word for text in shapes.texts() for word in text.split()]
    small = shapes.prepare(SMALLEST, bench.say)
    short = [text for text, _ in texts.of_length(small / "tokenizer" / "1", words, SHORTEST)]
    return [
        _against_ceiling(bench, repositories.REPOSITORY, traffic.queries(), "labelled queries", TARGET),
        _against_ceiling(bench, small, short, f"{SMALLEST}, {SHORTEST} tokens", SMALLEST_TARGET),
    ]


def _against_ceiling(bench: Bench, repository: Path, queries: Sequence[str], name: str, target: float) -> Ratio:
    paths = inprocess.Paths.of(repository)
    data = write_input(bench.folder / "queries.json", [{"query": text} for text in queries])
    # In process there are no clients: queries enough for the largest batch on every worker.
    enough = [*queries] * -(-2 * max(rates.BATCHES) // len(queries))
    with inprocess.Process() as process, bench.serving(repository) as server:

        def ceiling(setting: rates.Setting, seconds: float = bench.seconds) -> float:
            return process.call(inprocess.search_rate, paths, enough, setting, seconds)

        grid = rates.settings(bench.quick)
        best = rates.best(grid, lambda setting: ceiling(setting, bench.seconds / 2), bench.say)
        found = bench.in_turns(
            {
                "ensemble": Load(server, "search", data, CLIENTS, bench.seconds).rate,
                "in process": lambda: ceiling(best),
            }
        )
    return Ratio(
        "a",
        f"search, {name}, {CLIENTS} clients, against the same work in one process",
        found["ensemble"],
        found["in process"],
        target,
        details={"encoder": paths.encoder, "in_process": dataclasses.asdict(best)},
    )
