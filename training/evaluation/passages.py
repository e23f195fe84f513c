"""Retrieval of passages, in the form of DPR's table: BM25, dense, and both, as top-k accuracy.

KorQuAD 1.0's questions look for the passage that they were asked about, among the passages of all articles. Articles
are split into two halves by a hash of their title: the weight of BM25 + dense is chosen on the questions of one half,
and figures are of the other. Who trains on KorQuAD takes the first half's questions. BM25 is over character bigrams.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
from malgil_core.ranking.types import Floats

from export.progress import Advance
from training.errors import TrainingError
from training.evaluation.corpus import bm25
from training.evaluation.encoder import Encoder
from training.evaluation.metrics import Doubles
from training.evaluation.outcome import BM25, BOTH, DENSE, KORQUAD, Outcome

FILE = Path("korquad") / "KorQuAD_v1.0_dev.json"
DEPTHS = (1, 5, 20, 100)
DIGITS = 6  # of a cosine: beyond them texts that are the same to an encoder differ by how a processor rounds
LAMBDAS = (0.0, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)  # of BM25 + lambda · cosine


@dataclass(frozen=True)
class Question:
    """A question, the row of its passage, and the half that its article belongs to."""

    text: str
    row: int
    is_reported: bool


@dataclass(frozen=True)
class Passages:
    """Passages and the questions about them.

    Attributes:
        texts: different ones.
        questions: of both halves.
    """

    texts: Sequence[str]
    questions: Sequence[Question]

    @classmethod
    def read(cls, file: Path, most: int | None = None) -> Passages:
        """Read a file in SQuAD's format.

        Args:
            file: of articles with paragraphs with questions.
            most: questions kept in each half, those with the smallest hash; None keeps all.

        Raises:
            TrainingError: the file has another form.
        """
        rows: dict[str, int] = {}
        questions = []
        try:
            for article in json.loads(file.read_bytes())["data"]:
                reported = is_reported(article["title"])
                for paragraph in article["paragraphs"]:
                    row = rows.setdefault(paragraph["context"], len(rows))
                    questions += [Question(asked["question"], row, reported) for asked in paragraph["qas"]]
        except (ValueError, KeyError, TypeError) as error:
            raise TrainingError(f"{file} is not in SQuAD's format: {type(error).__name__}: {error}") from None
        halves = [[one for one in questions if one.is_reported == half] for half in (True, False)]
        kept = [sorted(half, key=lambda one: _hash(one.text))[:most] for half in halves]
        if not all(kept):
            raise TrainingError(f"{file} has questions of one half alone: at least two articles are needed")
        return cls([*rows], [*kept[0], *kept[1]])

    @cached_property
    def reported(self) -> npt.NDArray[np.bool_]:
        """[questions], whether figures are of the question."""
        return np.array([one.is_reported for one in self.questions])

    @cached_property
    def gold(self) -> npt.NDArray[np.int64]:
        """[questions], the row of the passage."""
        return np.array([one.row for one in self.questions])

    @cached_property
    def bm25(self) -> Floats:
        """[questions, passages]."""
        return bm25(self.texts, [one.text for one in self.questions])


def is_reported(title: str) -> bool:
    """Whether figures are of the questions of an article; else may be trained and tuned on. Half of all, by hash."""
    return _hash(title)[0] % 2 == 1


def bm25_alone(passages: Passages) -> Outcome:
    """BM25 without an encoder."""
    places = places_of(passages.bm25, passages.gold)
    return Outcome("passages", KORQUAD, BM25, _top(places[passages.reported]))


def measure(passages: Passages, encoder: Encoder, advance: Advance) -> list[Outcome]:
    """Dense retrieval, and BM25 + lambda · cosine with the lambda that is best on the other half."""
    matrix = encoder.embed(passages.texts, "passage", advance)
    questions = encoder.embed([one.text for one in passages.questions], "query", advance)
    cosines = (questions @ matrix.T).round(DIGITS)
    chosen = best_lambda(passages.bm25, cosines, passages.gold, ~passages.reported)
    reported, gold = passages.reported, passages.gold[passages.reported]
    dense = _top(places_of(cosines[reported], gold))
    both = _top(places_of(passages.bm25[reported] + chosen * cosines[reported], gold))
    return [
        Outcome("passages", KORQUAD, DENSE, dense),
        Outcome("passages", KORQUAD, BOTH, both, {"lambda": chosen}),
    ]


def best_lambda(words: Floats, cosines: Floats, gold: npt.NDArray[np.int64], tuned: npt.NDArray[np.bool_]) -> float:
    """The lambda with the highest mean reciprocal rank on the questions to tune on, the smallest among equals."""

    def reciprocal(chosen: float) -> float:
        return float(np.mean(1 / places_of(words[tuned] + chosen * cosines[tuned], gold[tuned])))

    return max(LAMBDAS, key=reciprocal)


def places_of(scores: Floats, gold: npt.NDArray[np.int64]) -> Doubles:
    """The place of each question's passage, from 1; passages that score the same come before it.

    >>> places_of(np.array([[0.1, 0.9, 0.3], [0.5, 0.5, 0.2]]), np.array([2, 0])).tolist()
    [2.0, 2.0]
    """
    right = scores[np.arange(len(gold)), gold][:, np.newaxis]
    places: Doubles = (scores >= right).sum(axis=1).astype(np.float64)
    return places


def _top(places: Doubles) -> dict[str, Doubles]:
    return {f"top-{depth}": (places <= depth) * 1.0 for depth in DEPTHS}


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
