"""KorSTS: pairs of Korean sentences and how alike people find them, and how well an encoder agrees.

KorSTS (Ham et al. 2020, CC BY-SA 4.0) scores pairs of sentences from 0 to 5; the figure is 100 × Spearman's rank
correlation of those scores with the cosine of the embeddings, the query prompt on both sides.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

FILE = Path("korsts") / "sts-test.tsv"  # in the folder of data sets


def read(path: Path) -> tuple[list[str], list[str], list[float]]:
    """First sentences, second sentences and scores of a KorSTS file."""
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE))
    return [r["sentence1"] for r in rows], [r["sentence2"] for r in rows], [float(r["score"]) for r in rows]


def correlation(first: npt.NDArray[np.float32], second: npt.NDArray[np.float32], scores: Sequence[float]) -> float:
    """100 × Spearman of the rows' cosines, float [N, D] each, with the scores."""
    from scipy.stats import spearmanr

    lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    return 100 * float(spearmanr((first * second).sum(1) / lengths, scores).statistic)
