"""`python -m benchmarks tune`: a search for better weights of lexical matches, on the half that no figure is of."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields

import numpy as np
from malgil_core.catalog.reading import Service
from malgil_core.lexical.index import Weights
from malgil_core.ranking.fusion import fused

from export.catalog.labelled import OUT_OF_SCOPE, Labelled
from training.evaluation.corpus import Corpus, Embed, Entry
from training.evaluation.metrics import score

CLEAN = ("paraphrase", "keyword", "synonym", "mixed")
MOST = 300  # queries of one kind: keystrokes are many
STEP = 0.15  # standard deviation of a change
LOSS = 10.0  # times what clean queries lose against the cosine alone


def search(
    services: Sequence[Service],
    labelled: Sequence[Labelled],
    embed: Embed,
    seconds: float,
    seed: int,
    say: Callable[[str], None],
) -> Weights:
    """A random walk from the weights in use; each step up is told to `say`."""
    draw = random.Random(seed)
    chosen = _sample([one for one in labelled if not one.held_out and one.kind != OUT_OF_SCOPE], draw)
    corpus = Corpus([Entry(one.id, one.texts) for one in services if one.open], embed)
    cosines = corpus.cosines(embed([one.query for one in chosen]))
    bare = score(chosen, corpus.by_score(cosines))

    def value(weights: Weights) -> float:
        corpus.lexical.weights = weights
        scores = np.zeros_like(cosines)
        for row, one in zip(scores, chosen, strict=True):
            found = corpus.lexical.matches(one.query)
            np.maximum.at(row, corpus.service_of_row[found.rows], found.scores)
        figures = score(chosen, corpus.by_score(fused(cosines, scores)))
        gained = np.mean([found["recall@5"] + found["mrr@10"] for kind, found in figures.items() if kind != "all"])
        lost = sum(max(0.0, bare[kind]["recall@5"] - figures[kind]["recall@5"]) for kind in CLEAN if kind in figures)
        return float(gained - LOSS * lost)

    best = Weights()
    highest = value(best)
    say(f"{highest:.4f} {best}")
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        weights = _changed(best, draw)
        if (reached := value(weights)) > highest:
            best, highest = weights, reached
            say(f"{highest:.4f} {best}")
    return best


def _changed(weights: Weights, draw: random.Random) -> Weights:
    values = asdict(weights)
    for field in draw.sample([field.name for field in fields(Weights)], draw.randint(1, 4)):
        values[field] = min(max(values[field] + draw.gauss(0, STEP), 0.0), 0.99)
    return Weights(**values)


def _sample(labelled: Sequence[Labelled], draw: random.Random) -> list[Labelled]:
    by_kind: dict[str, list[Labelled]] = {}
    for query in labelled:
        by_kind.setdefault(query.kind, []).append(query)
    return [query for kind in by_kind.values() for query in draw.sample(kind, min(MOST, len(kind)))]
