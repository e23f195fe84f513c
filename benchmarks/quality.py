"""`python -m benchmarks quality`: recall and MRR of several methods on the same labelled queries."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from malgil_core.catalog.reading import NullTopic, Service

from benchmarks import methods, null_phrases
from benchmarks.methods import MALGIL
from benchmarks.null_phrases import NullReport
from export.catalog import noise
from export.catalog.labelled import OUT_OF_SCOPE, Labelled
from export.catalog.settings import Choices
from training.evaluation.corpus import Corpus, Embed, Entry, Ranks
from training.evaluation.metrics import score

IN_SIGHT = 3  # places that a person looks at while typing
SAME = "0"  # in the column is_duplicate of songys/Question_pair
PAIRS = Path("question_pair") / "kor_Pair_test.csv"
KORSTS = "KorSTS, sentences"
SENTENCES = Path("korsts") / "sts-test.tsv"
Figures = dict[str, dict[str, dict[str, float]]]


@dataclass(frozen=True)
class Report:
    """Figures, {kind: {method: {recall@1, recall@5, mrr@10, queries}}}, and lines for people."""

    figures: Figures
    keystrokes: list[str]
    kept: list[str]
    confusions: list[str]
    null: NullReport | None = None  # unless there are no null topics


def measure(
    services: Sequence[Service],
    labelled: Sequence[Labelled],
    embed: Embed,
    null_topics: Sequence[NullTopic] = (),
    sentences: Sequence[str] = (),
    choices: Choices | None = None,
) -> Report:
    """Figures of the held-out half; the linear mix is tuned on the other half, as Malgil's weights were.

    Args:
        services: what can be found.
        labelled: queries.
        embed: texts → float32 [texts, D].
        null_topics: what the app does not do.
        sentences: further queries that should find nothing.
        choices: of a publish with a settings file; None for the defaults.
    """
    # BM25 and the mix cannot have thresholds, so those of a settings file count with null phrases alone, and those of
    # the catalog without a settings file not at all: what they do, `python -m export catalog calibrate` tells.
    corpus = Corpus(Entry.of(services, choices), embed, null_topics, choices)
    vectors = embed([one.query for one in labelled])
    tuned = np.array([not one.held_out for one in labelled])
    reported, tuning = ([one for one in labelled if one.held_out == held] for held in (True, False))
    mix = methods.best_mix(corpus, [one.query for one in tuning], vectors[tuned], lambda found: _mean(tuning, found))
    ranks = methods.ranks(corpus, [one.query for one in reported], vectors[~tuned], mix)
    name_of = {one.id: one.name for one in services}
    nothing = [(one.query, vector) for one, vector in zip(reported, vectors[~tuned], strict=True) if one.id is None]
    outside = {OUT_OF_SCOPE: nothing, KORSTS: list(zip(sentences, embed(sentences) if sentences else [], strict=True))}
    return Report(
        _by_kind({method: score(reported, found) for method, found in ranks.items()}),
        keystrokes(reported, ranks),
        kept(reported, ranks[MALGIL]),
        confusions(reported, ranks[MALGIL], name_of.__getitem__),
        null_phrases.measure(corpus, outside, [one.query for one in labelled], vectors) if null_topics else None,
    )


def keystrokes(labelled: Sequence[Labelled], ranks: dict[str, Ranks]) -> list[str]:
    """For each method, how many keys until the right service is in sight, over the names and keywords typed."""
    lines = []
    for method, found in ranks.items():
        seen: dict[tuple[str, int | None], list[bool]] = defaultdict(list)
        for one, ids in zip(labelled, found, strict=True):
            if one.kind in (noise.FIRST_KEYS, noise.PREFIX) and one.clean:
                seen[one.clean, one.id].append(one.id in ids[:IN_SIGHT])
        total = [len(noise.typed(text).replace(" ", "")) for text, _ in seen]
        needed = [places.index(True) + 1 if True in places else len(places) + 1 for places in seen.values()]
        if seen:
            share = np.sum(needed) / np.sum(total)
            lines.append(f"{method}: {np.mean(needed):.1f} of {np.mean(total):.1f} keys ({share:.0%})")
    return lines


def kept(labelled: Sequence[Labelled], ranks: Ranks) -> list[str]:
    """How much of the recall@5 of clean queries is left when the same queries are mistyped."""
    hit = {(one.kind, one.query): one.id in ids[:5] for one, ids in zip(labelled, ranks, strict=True)}
    clean = {query: found for (kind, query), found in hit.items() if kind not in noise.KINDS}
    lines = []
    for kind in (noise.ONE_TYPO, noise.TWO_TYPOS, noise.SPACING):
        both = [(hit[kind, one.query], clean[one.clean]) for one in labelled if one.kind == kind and one.clean in clean]
        if both:
            slipped, before = np.mean(both, axis=0)
            lines.append(f"{kind}: {slipped:.3f} of {before:.3f} ({slipped / before:.0%})")
    return lines


def pairs(file: Path, embed: Embed) -> Figures:
    """Figures on songys/Question_pair: of questions that ask the same, one is to be found by the other."""
    with file.open(encoding="utf-8-sig", newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["question1"] and row["question2"]]
    corpus = Corpus([Entry(i, (row["question2"],)) for i, row in enumerate(rows)], embed)
    asked = [
        Labelled(row["question1"], i, "question_pair") for i, row in enumerate(rows) if row["is_duplicate"] == SAME
    ]
    queries = [one.query for one in asked]
    vectors = embed(queries)
    half = len(asked) // 2  # the mix is tuned on the first
    mix = methods.best_mix(corpus, queries[:half], vectors[:half], lambda found: _mean(asked[:half], found))
    ranks = methods.ranks(corpus, queries[half:], vectors[half:], mix)
    figures = _by_kind({method: score(asked[half:], found) for method, found in ranks.items()})
    return {"question_pair": figures["question_pair"]}


def confusions(labelled: Sequence[Labelled], ranks: Ranks, name_of: Callable[[int], str], most: int = 10) -> list[str]:
    """What came first instead of the right service, most frequent first."""
    counts: dict[tuple[str, str], list[str]] = defaultdict(list)
    for one, ids in zip(labelled, ranks, strict=True):
        if one.id is not None and one.id not in ids[:5]:
            counts[name_of(one.id), name_of(ids[0]) if ids else "(nothing)"].append(one.query)
    worst = sorted(counts.items(), key=lambda item: -len(item[1]))[:most]
    return [f"{right} → {wrong}: {len(queries)}, such as {queries[0]!r}" for (right, wrong), queries in worst]


def _mean(labelled: Sequence[Labelled], found: Ranks) -> float:
    """The mean over kinds of recall@5 and MRR@10."""
    figures = [metrics for kind, metrics in score(labelled, found).items() if kind != "all"]
    return float(np.mean([metrics["recall@5"] + metrics["mrr@10"] for metrics in figures]))


def _by_kind(scored: dict[str, dict[str, dict[str, float]]]) -> Figures:
    return {kind: {method: by_kind[kind] for method, by_kind in scored.items()} for kind in scored["malgil"]}
