"""Recall and reciprocal rank of labelled queries: a value for each query, and the means by kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from malgil_core.ranking.types import Floats

from export.catalog.labelled import OUT_OF_SCOPE, Labelled
from training.evaluation.corpus import Ranks

Doubles = npt.NDArray[np.float64]
ALL = "all"  # the kind of all queries in scope together


def places(labelled: Sequence[Labelled], ranks: Ranks) -> Doubles:
    """The place of the right service, from 1, for each query; infinite where it was not found."""
    return np.array(
        [ids.index(one.id) + 1 if one.id in ids else np.inf for one, ids in zip(labelled, ranks, strict=True)]
    )


def outcomes(found: Doubles) -> dict[str, Doubles]:
    """Recall@1, recall@5 and the reciprocal rank of each query; their means are the figures.

    >>> {name: values.round(2).tolist() for name, values in outcomes(np.array([1, 3, np.inf])).items()}
    {'recall@1': [1.0, 0.0, 0.0], 'recall@5': [1.0, 1.0, 0.0], 'mrr@10': [1.0, 0.33, 0.0]}
    """
    return {"recall@1": (found <= 1) * 1.0, "recall@5": (found <= 5) * 1.0, "mrr@10": 1 / found}


def by_kind(labelled: Sequence[Labelled]) -> dict[str, npt.NDArray[np.int64]]:
    """The places of the queries of each kind among `labelled`; all in scope as ALL, those out of scope left out."""
    groups: dict[str, list[int]] = {}
    for place, one in enumerate(labelled):
        if one.kind != OUT_OF_SCOPE:
            groups.setdefault(one.kind, []).append(place)
            groups.setdefault(ALL, []).append(place)
    return {kind: np.array(group, dtype=np.int64) for kind, group in groups.items()}


def means(values: Mapping[str, Doubles]) -> dict[str, float]:
    """The mean of each metric."""
    return {name: float(np.mean(of_query)) for name, of_query in values.items()}


def score(labelled: Sequence[Labelled], ranks: Ranks) -> dict[str, dict[str, float]]:
    """Recall@1, recall@5 and MRR@10 by kind, and over all in-scope queries as "all"."""
    found = places(labelled, ranks)
    return {kind: {**means(outcomes(found[group])), "queries": len(group)} for kind, group in by_kind(labelled).items()}


def area_under_roc(inside: Floats, outside: Floats) -> float:
    """The share of pairs of a query in and one out of scope where the former scores higher, ties counted half."""
    both = inside[:, np.newaxis] - outside
    return float(np.mean((both > 0) + 0.5 * (both == 0)))
