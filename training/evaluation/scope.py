"""Out-of-scope queries: what null phrases leave without an answer, and what that costs queries in scope.

The decision is the scorer's, by dense and lexical score, with the limits that a publish chooses without labels:
malgil_core.ranking.scope and margin.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from malgil_core.ranking.types import Floats, Ranked

from training.evaluation.metrics import Doubles, area_under_roc, outcomes, places
from training.evaluation.outcome import LEXICAL, Outcome
from training.evaluation.queries import Embedded

OUT, IN = "out of scope", "in scope"


@dataclass(frozen=True)
class Scope:
    """Cosines with the nearest service, of the queries in scope [inside] and out of scope [outside]."""

    inside: Floats
    outside: Floats

    @classmethod
    def of(cls, embedded: Embedded) -> Scope:
        """The cosines of the reporting half."""
        corpus = embedded.corpus
        return cls(*(corpus.cosines(v).max(axis=1) for v in (embedded.inside_vectors, embedded.outside_vectors)))


def measure(embedded: Embedded, scope: Scope) -> list[Outcome]:
    """Refusals of queries out of scope, and recall@5 in scope without and with refusals; thresholds refuse, too."""
    corpus, texts = embedded.corpus, [one.query for one in embedded.inside]
    null = corpus.index.null
    assert null
    limits = {"margin": null.margin, "floor": max(null.floor, -1.0)}  # no cosine is lower than -1
    outside = corpus.malgil(embedded.outside_vectors, embedded.outside, null=True)
    recall = {
        name: outcomes(places(embedded.inside, corpus.ids(ranked)))["recall@5"]
        for name, ranked in (
            ("recall@5", corpus.malgil(embedded.inside_vectors, texts)),
            ("recall@5 with refusals", corpus.malgil(embedded.inside_vectors, texts, null=True)),
        )
    }
    roc = {"area under ROC": area_under_roc(scope.inside, scope.outside)}
    return [
        Outcome("scope", OUT, LEXICAL, {"refused": _refused(outside)}, {**roc, **limits}),
        Outcome("scope", IN, LEXICAL, recall),
    ]


def _refused(ranked: Sequence[Ranked]) -> Doubles:
    return np.array([float(not len(one.services)) for one in ranked])
