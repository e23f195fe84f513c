"""Out-of-scope queries: what null phrases leave without an answer, and what that costs queries in scope.

A query is refused when the best null phrase is nearer than the best service by more than a margin. The margin is set
without labels: each phrase of the catalog is left out in turn and asked as a query, and at most a given share of them
may be refused.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from malgil_core.ranking.types import Floats

from training.errors import TrainingError
from training.evaluation.corpus import Corpus
from training.evaluation.metrics import area_under_roc, outcomes, places
from training.evaluation.outcome import DENSE, Outcome
from training.evaluation.queries import Embedded

LOST = 0.03  # share of the catalog's phrases that may be refused
OUT, IN = "out of scope", "in scope"


@dataclass(frozen=True)
class Scope:
    """Cosines of the nearest service and the nearest null phrase.

    Attributes:
        inside: of the queries in scope with the nearest service, [inside].
        outside: of those out of scope, [outside].
        refused_inside: whether the query is refused.
        refused_outside: the same.
        margin: by which a null phrase must be nearer.
    """

    inside: Floats
    outside: Floats
    refused_inside: npt.NDArray[np.bool_]
    refused_outside: npt.NDArray[np.bool_]
    margin: float


def read_null_phrases(file: Path) -> list[str]:
    """The phrases of a file of null topics, {"null": true, "name": …, "phrases": […]} a line.

    Raises:
        TrainingError: a line is something else.
    """
    found: list[str] = []
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            found += json.loads(line)["phrases"]
        except (ValueError, KeyError, TypeError) as error:
            raise TrainingError(f"{file}:{number}: no null topic: {type(error).__name__}: {error}") from None
    return found


def separate(embedded: Embedded, null_vectors: Floats) -> Scope:
    """Refuse queries by null phrases, unit vectors [phrases, D]."""
    corpus = embedded.corpus
    chosen = margin(corpus, null_vectors)
    inside = corpus.cosines(embedded.inside_vectors).max(axis=1)
    outside = corpus.cosines(embedded.outside_vectors).max(axis=1)
    nearest_inside = (embedded.inside_vectors @ null_vectors.T).max(axis=1)
    nearest_outside = (embedded.outside_vectors @ null_vectors.T).max(axis=1)
    return Scope(inside, outside, nearest_inside - inside > chosen, nearest_outside - outside > chosen, chosen)


def margin(corpus: Corpus, null_vectors: Floats, lost: float = LOST) -> float:
    """The smallest margin that refuses at most a share `lost` of the catalog's phrases, each left out in turn."""
    among = corpus.matrix @ corpus.matrix.T
    np.fill_diagonal(among, -np.inf)
    gaps = (corpus.matrix @ null_vectors.T).max(axis=1) - among.max(axis=1)
    return float(np.quantile(gaps, 1 - lost, method="higher"))


def measure(embedded: Embedded, scope: Scope) -> list[Outcome]:
    """Refusals of queries out of scope, and recall@5 in scope without and with refusals."""
    corpus = embedded.corpus
    recall = outcomes(places(embedded.inside, corpus.ids(corpus.dense(embedded.inside_vectors))))["recall@5"]
    roc = {"area under ROC": area_under_roc(scope.inside, scope.outside), "margin": scope.margin}
    return [
        Outcome("scope", OUT, DENSE, {"refused": scope.refused_outside * 1.0}, roc),
        Outcome("scope", IN, DENSE, {"recall@5": recall, "recall@5 with refusals": recall * ~scope.refused_inside}),
    ]
