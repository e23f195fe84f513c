"""Retraining by what people chose: events, pairs, training, and what other people find with it.

Events are written, read and made into pairs by the code of `python -m feedback pairs`, and the encoder is trained by
that of `python -m training encoder`, in PyTorch. It is measured on people who were not among those who searched, with
queries that those have not typed, beside the base and beside a training without what people chose.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from malgil_core.catalog.reading import Catalog
from malgil_core.ranking.types import Floats
from malgil_core.text.tokenization import Tokenization

from benchmarks import CATALOG
from benchmarks.loop import logged
from benchmarks.loop.learning import Nothing, simulate
from benchmarks.loop.people import Person
from benchmarks.loop.world import World
from export.catalog.labelled import Labelled
from server.launcher import REPOSITORY
from training.evaluation.metrics import outcomes, places
from training.evaluation.significance import Comparison, compare

BASE, CATALOG_ALONE, WITH_PAIRS = "base", "trained on the catalog alone", "trained on the catalog and pairs"
SEARCHES = 100  # of each person, logged
Say = Callable[[str], None]


@dataclass(frozen=True)
class Found:
    """What people who were not trained on find with an encoder.

    Attributes:
        encoder: BASE, CATALOG_ALONE or WITH_PAIRS.
        ambiguous: recall@1 and MRR of ambiguous queries, expected over what they may mean.
        clear: recall@1 and MRR@10 of queries that say what is meant, and were not typed by those who searched.
        recall: recall@1 of the latter against the base: None for the base.
        mrr: MRR@10 of the same.
    """

    encoder: str
    ambiguous: tuple[float, float]
    clear: tuple[float, float]
    recall: Comparison | None
    mrr: Comparison | None


@dataclass(frozen=True)
class Retraining:
    """A retraining, and what became of it.

    Attributes:
        people: who searched, and who are measured.
        events: that they left.
        pairs: that these gave.
        negatives: of these.
        queries: clear ones that are measured.
        steps: of each training.
        seconds: of both.
        found: of each encoder.
    """

    people: tuple[int, int]
    events: int
    pairs: int
    negatives: int
    queries: int
    steps: int
    seconds: float
    found: list[Found]


def measure(
    world: World, catalog: Catalog, labelled: Sequence[Labelled], people: Sequence[Person], others: Sequence[Person],
    steps: int, seed: int, say: Say,
) -> Retraining:  # fmt: skip
    """Log, pair, train and measure.

    Args:
        world: the search that people use.
        catalog: its catalog.
        labelled: clear queries: those that nothing is reported on are typed, the others measured.
        people: who search.
        others: who are measured.
        steps: of a training.
        seed: of everything.
        say: told what is done.
    """
    inside = [one for one in labelled if one.id is not None]
    typed, asked = ([one for one in inside if one.held_out == held] for held in (False, True))
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="malgil-loop-") as name:
        folder = Path(name)
        events = logged.write(folder / "events", world, people, typed, SEARCHES, seed)
        lines = pairs(folder / "events", world, catalog)
        file = folder / "pairs.jsonl"
        file.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
        figures: dict[str, tuple[tuple[float, float], Any]] = {}
        for encoder, data in ((BASE, None), (CATALOG_ALONE, []), (WITH_PAIRS, [file])):
            say(encoder)
            embed = _encoder(folder / encoder, data, steps, seed)
            figures[encoder] = _figures(World(world.services, (), embed, embed), others, asked, seed)
    seconds = time.monotonic() - started
    base = figures[BASE][1]
    found = []
    for encoder, (ambiguous, clear) in figures.items():
        tests = {name: None if encoder == BASE else compare(base[name], clear[name], seed) for name in clear}
        means = float(clear["recall@1"].mean()), float(clear["mrr@10"].mean())
        found.append(Found(encoder, ambiguous, means, tests["recall@1"], tests["mrr@10"]))
    wrong = sum(len(line["negatives"]) for line in lines)
    sizes = len(people), len(others)
    return Retraining(sizes, events, len(lines), wrong, len(asked), steps, seconds, found)


def pairs(events: Path, world: World, catalog: Catalog) -> list[dict[str, Any]]:
    """The pairs of a folder of events, as `python -m feedback pairs` makes them."""
    from feedback import choices, propensity
    from feedback import pairs as makers
    from feedback.bounds import Bounds
    from feedback.catalog import Serving
    from feedback.log import Window, opened

    tokenization = Tokenization.load(REPOSITORY / "tokenizer" / "1")
    serving = Serving(world.corpus.index, catalog, frozenset(), tokenization)
    with opened(events, Window.last(None)) as log:
        counted = choices.count(log, propensity.estimate(log), Bounds())

    def embed(queries: Sequence[str]) -> Floats:
        return np.stack([world.vector(query) for query in queries])

    return [one.as_dict() for one in makers.make(counted, serving, embed, 4, 0.0).pairs]


def _encoder(work: Path, feedback: list[Path] | None, steps: int, seed: int) -> Callable[[Sequence[str]], Floats]:
    """The bundled encoder in PyTorch, trained unless `feedback` is None."""
    from training import encoder as training
    from training.settings import recipe, settings

    loaded = training.load("bundled")
    if feedback is not None:
        data = [{"kind": "catalog", "file": CATALOG}, *({"kind": "feedback", "file": file} for file in feedback)]
        values = {**recipe("search"), "data": data, "steps": steps, "seed": seed}
        training.fine_tune(loaded, settings(values, "recipe search"), work)

    def embed(texts: Sequence[str]) -> Floats:
        found: Floats = loaded.reference.encode(
            list(texts), prompt=loaded.prompts["query"], normalize_embeddings=True, batch_size=32,
            show_progress_bar=False,
        )  # fmt: skip
        return found

    return embed


def _figures(
    world: World, people: Sequence[Person], asked: Sequence[Labelled], seed: int
) -> tuple[tuple[float, float], Any]:
    """Recall@1 and MRR of ambiguous queries, and the outcomes of each clear one."""
    curve = simulate(people, Nothing(world), seed, counts=(0,))
    ambiguous = curve.mean("typed", 0, "recall@1"), curve.mean("typed", 0, "mrr")
    lists = world.rank([one.query for one in asked])
    return ambiguous, outcomes(places(asked, [shown.ids for shown in lists]))
