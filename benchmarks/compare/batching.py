"""b: dynamic batching on against off: short queries from 64 clients, the smallest encoder."""

from __future__ import annotations

from benchmarks import shapes
from benchmarks.compare import houses, inprocess, traffic
from benchmarks.compare.load import Load
from benchmarks.compare.ratios import Ratio
from benchmarks.compare.run import Bench
from benchmarks.perf_analyzer import write_input

ENCODER = "koelectra-small-v3"
CLIENTS = 64
TARGET = 5.0


def compare(bench: Bench) -> list[Ratio]:
    """Queries a second of `search`, with the repository as it is and with one request a batch."""
    repository = shapes.prepare(ENCODER, bench.say)
    data = write_input(bench.folder / "queries.json", [{"query": text} for text in traffic.queries()])
    off = houses.copy(repository, bench.folder / "off", houses.without_batching)
    with bench.serving(repository) as batching, bench.serving(off) as single:
        found = bench.in_turns(
            {
                "on": Load(batching, "search", data, CLIENTS, bench.seconds).rate,
                "off": Load(single, "search", data, CLIENTS, bench.seconds).rate,
            }
        )
    name = f"search, {ENCODER}, {CLIENTS} clients, dynamic batching on against off"
    details = {"encoder": inprocess.House.of(repository).encoder}
    return [Ratio("b", name, found["on"], found["off"], TARGET, details=details)]
