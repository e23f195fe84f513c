"""`python -m benchmarks suggest`: suggestions beside searches, for the same texts, in turns on one server."""

from __future__ import annotations

import random
import statistics
import tempfile
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
import malgil
import numpy as np
from malgil_core.catalog.reading import read
from rich.table import Table
from tritonclient import grpc

from benchmarks import CATALOG, QUERIES, machine, pages, perf_analyzer
from benchmarks.options import CONSOLE, FILE, Numbers
from benchmarks.serving import serving
from export.catalog import labelled
from export.catalog.labelled import Labelled
from export.catalog.noise import CHOSUNG, FIRST_KEYS, PREFIX, WRONG_LAYOUT, is_korean, keystrokes, with_noise

MOST = 2000  # different texts
SECONDS = 300.0  # after which a run is given up
TOP_K = 5
BATCH = 64
MODELS = {"suggest": "typed", "search": "query"}


@dataclass(frozen=True)
class Turns:
    """Both models with so many clients, turn by turn: p50 in milliseconds, and requests/s."""

    clients: int
    suggest_p50: list[float]
    search_p50: list[float]
    suggest_rate: list[float]
    search_rate: list[float]

    @property
    def ratios(self) -> list[float]:
        """p50 of suggestions over that of searches."""
        return [ours / other for ours, other in zip(self.suggest_p50, self.search_p50, strict=True)]


@dataclass(frozen=True)
class Keys:
    """Keystrokes until the service of a name or keyword is among the first five, the mean.

    Attributes:
        texts: that were typed.
        keys: of a text.
        suggest: until it is suggested; all of them where it never is.
        search: until it is found.
    """

    texts: int
    keys: float
    suggest: float
    search: float


def texts() -> list[str]:
    """What people type on the way to names and keywords of the sample: each keystroke, initials, the wrong layout."""
    asked = with_noise(labelled.read(QUERIES), read(CATALOG))
    typed = [one.query for one in asked if one.kind in (FIRST_KEYS, PREFIX, WRONG_LAYOUT, CHOSUNG)]
    random.Random(0).shuffle(typed)
    return typed[:MOST]


def measure(
    url: str, typed: Sequence[str], clients: int, turns: int, requests: int, say: Callable[[str], None]
) -> Turns:
    """Ask both models for the same texts in turns, the first of the two alternating.

    Args:
        url: HOST:PORT of gRPC.
        typed: sent one after the other.
        clients: how many send them at once.
        turns: how many.
        requests: of each run.
        say: called with a line for each turn.
    """
    p50: dict[str, list[float]] = {model: [] for model in MODELS}
    rate: dict[str, list[float]] = {model: [] for model in MODELS}
    with tempfile.TemporaryDirectory(prefix="malgil-load-") as folder:
        files = {
            model: perf_analyzer.write_input(
                Path(folder, f"{model}.json"), [{name: text, "top_k": np.array([TOP_K])} for text in typed]
            )
            for model, name in MODELS.items()
        }
        for turn in range(turns):
            for model in sorted(MODELS, reverse=bool(turn % 2)):
                load = perf_analyzer.run(url, model, files[model], clients, requests, SECONDS)
                p50[model].append(load.latency_ms["p50"])
                rate[model].append(load.requests_per_s)
            say(f"{clients} clients: p50 of suggest {p50['suggest'][-1]:.2f} ms, of search {p50['search'][-1]:.2f} ms")
    return Turns(clients, p50["suggest"], p50["search"], rate["suggest"], rate["search"])


def batch_ms(url: str, typed: Sequence[str], turns: int) -> float:
    """Milliseconds of one request with BATCH texts, the median."""
    column = np.array([[text.encode()] for text in typed[:BATCH]], dtype=np.object_)
    with grpc.InferenceServerClient(url) as client:
        tensor = grpc.InferInput("typed", column.shape, "BYTES")
        tensor.set_data_from_numpy(column)
        return 1000 * statistics.median(_timed(lambda: client.infer("suggest", [tensor])) for _ in range(10 * turns))


def keys_until(client: malgil.SearchClient, asked: Sequence[Labelled]) -> Keys:
    """Type each text key by key, until its service is among the first five of both."""

    def until(text: str, found: Callable[[str], Collection[int]], id: int | None) -> int:
        steps = [*keystrokes(text)]
        return next((keys for keys, shown in steps if id in found(shown)), steps[-1][0] + 1)

    rows = [
        (
            len([*keystrokes(one.query)]) + 1,
            until(one.query, lambda shown: [hit.id for hit in client.suggest(shown, top_k=TOP_K)], one.id),
            until(one.query, lambda shown: [hit.id for hit in client.search(shown, top_k=TOP_K)], one.id),
        )
        for one in asked
    ]
    return Keys(len(rows), *(float(np.mean(column)) for column in zip(*rows, strict=True)))


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


@click.command(short_help="Suggestions beside searches: p50, requests/s, keystrokes until the service is in sight.")
@click.option("--clients", type=Numbers(1), default="1,16", show_default=True, help="How many at once.")
@click.option("--turns", type=click.IntRange(1), default=7, show_default=True)
@click.option("--requests", type=click.IntRange(1), default=2000, show_default=True, help="Of each run.")
@click.option("--names", type=click.IntRange(1), default=100, show_default=True, help="Typed key by key.")
@click.option("--url", help="gRPC HOST:PORT of a running server. Default: start one.")
@click.option("--note", default="", help="Shown on the page, such as what else ran meanwhile.")
@click.option("--json", "file", type=FILE, help="Write the figures there, and a page beside it.")
def suggest(
    clients: tuple[int, ...], turns: int, requests: int, names: int, url: str | None, note: str, file: Path | None
) -> None:
    """Measure suggestions against searches for the same texts on the same server, by perf_analyzer in turns.

    The goal: p50 of suggestions is at most that of searches.
    """
    typed = texts()
    asked = [
        one for one in labelled.read(QUERIES) if one.kind == "keyword" and one.id is not None and is_korean(one.query)
    ]
    asked += [one for one in labelled.names(read(CATALOG)) if is_korean(one.query)]
    with serving(url) as found:
        loads = [measure(found, typed, count, turns, requests, CONSOLE.print) for count in clients]
        batch = batch_ms(found, typed, turns)
        with malgil.SearchClient(found) as client:
            keys = keys_until(client, random.Random(0).sample(asked, min(names, len(asked))))
    result = {
        "machine": machine.machine(), "code": machine.code(), "note": note, "turns": turns,
        "loads": [{**asdict(one), "ratios": one.ratios} for one in loads], "batch": BATCH, "batch_ms": batch,
        "keys": asdict(keys),
    }  # fmt: skip
    table = Table("clients", "suggest p50, ms", "search p50, ms", "ratio", "suggest/s", "search/s")
    for row in _rows(result):
        table.add_row(*row)
    CONSOLE.print(table)
    CONSOLE.print(_sentences(result))
    pages.write(file, result, page)


def page(result: Mapping[str, Any]) -> str:
    """The page, in Markdown."""
    head = ["clients", "suggest p50, ms", "search p50, ms", "ratio (lowest to highest)", "suggest/s", "search/s"]
    lines = [head, ["---:"] * len(head), *_rows(result)]
    parts = [
        "# Suggestions",
        pages.made_by("suggest", result, "; clients and server on the same machine"),
        *([result["note"]] if result["note"] else []),
        f"The same texts in turns, {result['turns']} of them, medians: each keystroke on the way to names and keywords "
        "of the sample, their initials, and the wrong keyboard layout; five suggestions, five hits.",
        "\n".join(f"| {' | '.join(line)} |" for line in lines),
        _sentences(result),
    ]
    return "\n\n".join(parts) + "\n"


def _rows(result: Mapping[str, Any]) -> list[list[str]]:
    median = statistics.median
    return [
        [
            str(one["clients"]), f"{median(one['suggest_p50']):.2f}", f"{median(one['search_p50']):.2f}",
            f"{median(one['ratios']):.2f} ({min(one['ratios']):.2f} to {max(one['ratios']):.2f})",
            f"{median(one['suggest_rate']):.0f}", f"{median(one['search_rate']):.0f}",
        ]
        for one in result["loads"]
    ]  # fmt: skip


def _sentences(result: Mapping[str, Any]) -> str:
    keys = result["keys"]
    return (
        f"One request with {result['batch']} texts takes {result['batch_ms']:.1f} ms. Of {keys['keys']:.1f} keystrokes "
        f"of a name or keyword ({keys['texts']} of them), its service is among five suggestions after "
        f"{keys['suggest']:.1f}, among five hits of a search after {keys['search']:.1f}."
    )
