"""KorSTS: the rank correlation of cosines with the scores that people gave."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from malgil_core.ranking.types import Floats

from export.encoder import korsts
from export.progress import Advance
from training.evaluation.encoder import Encoder
from training.evaluation.metrics import Doubles
from training.evaluation.outcome import DENSE, Outcome


def measure(file: Path, encoder: Encoder, advance: Advance) -> Outcome:
    """Spearman × 100 on a KorSTS file, the query prompt on both sides."""
    first, second, scores = korsts.read(file)
    vectors = encoder.embed(first + second, "query", advance)
    cosines = (vectors[: len(first)] * vectors[len(first) :]).sum(axis=1)
    return Outcome("korsts", "test", DENSE, {"spearman": shares(cosines, np.array(scores))})


def shares(cosines: Floats, scores: Doubles) -> Doubles:
    """What each pair adds to 100 × Spearman's rank correlation, [n]: their mean is the correlation.

    Spearman's is the mean of the products of standardised ranks, so that two encoders can be compared pair by pair.

    >>> shares(np.array([0.1, 0.5, 0.9]), np.array([1.0, 3.0, 2.0])).mean().round(1)
    50.0
    """
    from scipy.stats import rankdata

    ranks = np.stack([rankdata(cosines), rankdata(scores)])
    spread = ranks.std(axis=1, keepdims=True)  # 0 for an encoder that finds all pairs alike: it agrees with nothing
    standardised = (ranks - ranks.mean(axis=1, keepdims=True)) / np.where(spread > 0, spread, 1)
    products: Doubles = 100 * standardised[0] * standardised[1]
    return products
