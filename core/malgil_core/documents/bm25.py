"""BM25 of passages as inner products of sparse vectors (Robertson et al. 1994), over the units of the catalog's.

A passage's vector holds how much each of its units counts in it, a query's how rare that unit is among all passages:
their inner product is the BM25 score. So passages can be stored before all of them are known, and an engine that takes
sparse vectors finds the best without reading the others.
"""

from __future__ import annotations

import base64
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from malgil_core.text.keystrokes import key_grams, keys, words

Weights = dict[int, float]  # unit → weight
K1, B = 1.2, 0.75  # the usual values of BM25
_SYMBOLS = {symbol: at for at, symbol in enumerate("0123456789abcdefghijklmnopqrstuvwxyz^")}
UNITS = len(_SYMBOLS) ** 3  # different units: three keys, or the first two of a word after "^"


def units(text: str) -> Counter[int]:
    """How often each unit, an n-gram of the keys that type a text, stands in it."""
    return Counter(map(_number, key_grams([keys(word) for word in words(text)])))


@lru_cache(UNITS)
def _number(gram: str) -> int:
    a, b, c = (_SYMBOLS[symbol] for symbol in gram.ljust(3, "^"))
    return (a * len(_SYMBOLS) + b) * len(_SYMBOLS) + c


def passage_weights(counts: Mapping[int, int], mean_length: float) -> Weights:
    """A passage's sparse vector.

    Args:
        counts: its units.
        mean_length: units in a passage on average; one value for all passages that are compared.
    """
    norm = K1 * (1 - B + B * sum(counts.values()) / mean_length)
    return {unit: count * (K1 + 1) / (count + norm) for unit, count in counts.items()}


class Statistics:
    """How many passages contain each unit.

    The units of 송금 that two of three passages contain weigh more than that of 금, which all contain:

    >>> statistics = Statistics()
    >>> for text in ("송금", "송금 한도", "적금"):
    ...     statistics.add(units(text))
    >>> sorted({round(weight, 2) for weight in statistics.query_weights("송금").values()})
    [0.13, 0.47]

    Args:
        doc_freq: int64 [UNITS]; of no passages without it.
        passages: how many there are.
        mean_length: units in a passage on average; 0 before it is known.
    """

    def __init__(
        self, doc_freq: npt.NDArray[np.int64] | None = None, passages: int = 0, mean_length: float = 0.0
    ) -> None:
        self.doc_freq = np.zeros(UNITS, np.int64) if doc_freq is None else doc_freq
        self.passages, self.mean_length = passages, mean_length

    def add(self, counts: Iterable[int]) -> None:
        """Count a passage by its units."""
        self._count(counts, 1)

    def remove(self, counts: Iterable[int]) -> None:
        """Count a passage no longer."""
        self._count(counts, -1)

    def clear(self) -> None:
        """Count no passage any longer; the mean length stays."""
        self.doc_freq[:] = 0
        self.passages = 0

    def _count(self, counts: Iterable[int], by: int) -> None:
        found = np.fromiter(counts, np.int64)
        self.doc_freq[found] = np.maximum(self.doc_freq[found] + by, 0)
        self.passages = max(self.passages + by, 0)

    def query_weights(self, query: str) -> Weights:
        """A query's sparse vector; empty if no passage contains one of its units."""
        counts = units(query)
        found = np.fromiter(counts, np.int64, count=len(counts))
        times = np.fromiter(counts.values(), np.float64, count=len(counts))
        doc_freq = self.doc_freq[found]
        idf = np.log1p(np.maximum(self.passages - doc_freq + 0.5, 0.5) / (doc_freq + 0.5))
        known = doc_freq > 0
        return dict(zip(found[known].tolist(), (idf * times)[known].tolist(), strict=True))

    def pack(self) -> str:
        """The counts as text."""
        return base64.b85encode(zlib.compress(self.doc_freq.astype("<u4").tobytes())).decode()

    @classmethod
    def unpack(cls, packed: str, passages: int, mean_length: float) -> Statistics:
        """The statistics of counts as `pack` wrote them.

        Raises:
            ValueError: it did not write them.
        """
        try:
            inflater = zlib.decompressobj()
            raw = inflater.decompress(base64.b85decode(packed), UNITS * 4 + 1)
        except (zlib.error, ValueError) as error:
            raise ValueError(f"the statistics are damaged: {error}") from None
        if len(raw) != UNITS * 4:
            raise ValueError(f"the statistics are of {len(raw) // 4} units: this version has {UNITS}")
        return cls(np.frombuffer(raw, "<u4").astype(np.int64), passages, mean_length)


def score(query: Mapping[int, float], passage: Mapping[int, Any]) -> float:
    """The BM25 score: the inner product of two sparse vectors."""
    return float(sum(weight * passage[unit] for unit, weight in query.items() if unit in passage))
