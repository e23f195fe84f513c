"""i: what reading letters costs: `search` with lexical evidence on against off, at 1,000 and at 100,000 phrases."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
from malgil_core.catalog.reading import Service
from malgil_core.index.writer import publish
from malgil_core.ranking.types import Floats

from benchmarks import shapes
from benchmarks.compare import houses, traffic
from benchmarks.compare.load import Load
from benchmarks.compare.ratios import Ratio
from benchmarks.compare.run import Bench
from benchmarks.noise import keystrokes
from benchmarks.perf_analyzer import write_input

PHRASES = (1_000, 100_000)
PER_SERVICE = 6  # the name among them
CLIENTS = 64
RATE, LATENCY = 0.8, 2.0  # targets: throughput at least, one client's p50 at most


def compare(bench: Bench) -> list[Ratio]:
    """Queries a second with 64 clients and labelled queries; one client's p50, a keystroke each."""
    return [ratio for phrases in PHRASES for ratio in _at(bench, phrases)]


def _at(bench: Bench, phrases: int) -> list[Ratio]:
    bench.say(f"publishing {phrases:,} phrases")
    metadata = json.loads((houses.REPOSITORY / "tokenizer" / "1" / "encoder.json").read_text(encoding="utf-8"))
    home = bench.folder / str(phrases)
    publish(services(phrases), home / "index", metadata, lambda texts: vectors(len(texts), metadata["dimension"]))
    on, off = (_house(home, letters) for letters in ("on", "off"))
    labelled = write_input(bench.folder / "labelled.json", [{"query": text} for text in traffic.queries()])
    typed = [shown for text in shapes.texts()[:50] for _, shown in keystrokes(text)]
    random.Random(0).shuffle(typed)
    typing = write_input(bench.folder / "typing.json", [{"query": text} for text in typed[:500]])
    with bench.serving(on) as with_letters, bench.serving(off) as without:
        both = {"on": with_letters, "off": without}
        loads = {letters: Load(server, "search", labelled, CLIENTS, bench.seconds) for letters, server in both.items()}
        rates = bench.in_turns({letters: load.rate for letters, load in loads.items()})
        alone = {letters: Load(server, "search", typing, 1, bench.seconds) for letters, server in both.items()}
        times = bench.in_turns({letters: load.median_ms for letters, load in alone.items()})
    what = f"search, {phrases:,} phrases"
    return [
        Ratio("i", f"{what}, {CLIENTS} clients, letters on against off", rates["on"], rates["off"], RATE),
        Ratio(
            "i", f"{what}, one client's p50 a keystroke, on against off", times["on"], times["off"], LATENCY,
            at_most=True, unit="ms",
        ),
    ]  # fmt: skip


def services(phrases: int) -> list[Service]:
    """Services with so many phrases in all, of one to six words of the sample catalogue in new orders."""
    draw = random.Random(0)
    known = sorted({word for text in shapes.texts() for word in text.split()})
    made: dict[str, None] = {}
    while len(made) < phrases:
        made[" ".join(draw.choices(known, k=draw.randint(1, 6)))] = None
    texts = list(made)
    return [
        Service(at, None, f"s{at}", own[0], own[0], True, tuple(own[1:]) or ("…",), "", (), None)
        for at, own in enumerate(texts[i : i + PER_SERVICE] for i in range(0, phrases, PER_SERVICE))
    ]


def vectors(count: int, dimension: int) -> Floats:
    """Random directions: how long a search takes does not depend on them."""
    return np.random.default_rng(0).standard_normal((count, dimension), dtype=np.float32)


def _house(home: Path, letters: str) -> Path:
    repository = houses.copy(houses.REPOSITORY, home / letters)

    def edit(path: Path, message: Any) -> None:
        message.parameters["lexical"].string_value = letters
        message.parameters["index"].string_value = str(home / "index")
        houses.write(path, message)

    scorer = repository / "scorer"
    edit(scorer, houses.config(scorer / "config.pbtxt"))
    return repository
