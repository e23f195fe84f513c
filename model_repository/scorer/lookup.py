"""Phrases by their letters: which begin with a query's, and which share n-grams with it. Pure: no Triton here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Doubles = npt.NDArray[np.float64]

LONGEST_PREFIX = 24  # letters by which prefixes are looked up
POSTINGS = 50_000  # rows read for a query, of its rarest n-grams first: bounds its cost, whatever the index
WEAKEST = 0.2  # of the best score: what is below is not looked at closely
K1, B = 1.2, 0.75  # the usual values of BM25


class Start(NamedTuple):
    """A word's start in a phrase."""

    letters: str  # of the phrase from there on, ASCII
    row: int  # the phrase
    first: bool  # whether the phrase starts there
    rank: float  # which are kept when too many begin alike: the higher


class Prefixes:
    """Phrases by how they, or their words, begin."""

    def __init__(self, starts: Iterable[Start]) -> None:
        ordered = sorted(starts)
        self._letters = np.array([start.letters.encode() for start in ordered], dtype=f"S{LONGEST_PREFIX}")
        self._rows = np.array([start.row for start in ordered], dtype=np.int64)
        self._first = np.array([start.first for start in ordered], dtype=bool)
        self._rank = np.array([start.rank for start in ordered], dtype=np.float32)

    def find(self, letters: str, most: int) -> tuple[Ints, npt.NDArray[np.bool_]]:
        """Rows where a word begins with these letters, and whether it is the phrase's first; `most` at most.

        Letters beyond LONGEST_PREFIX are not looked at.
        """
        low, high = np.searchsorted(self._letters, self._bounds(letters))
        found = np.arange(low, high)
        if len(found) > most:
            found = found[np.argpartition(-self._rank[low:high], most)[:most]]
        return self._rows[found], self._first[found]

    def _bounds(self, letters: str) -> npt.NDArray[np.bytes_]:
        key = letters.encode()[:LONGEST_PREFIX]
        after = key[:-1] + bytes([key[-1] + 1])  # ASCII: there is always a next one
        return np.array([key, after], dtype=f"S{LONGEST_PREFIX}")


class Postings:
    """Which phrases hold an n-gram: BM25 (Robertson et al. 1994)."""

    def __init__(self, phrases: Sequence[Sequence[str]]) -> None:
        """`phrases`: the n-grams of each."""
        counts = [Counter(grams) for grams in phrases]
        vocabulary = dict.fromkeys(chain.from_iterable(counts))
        self._ids = {gram: at for at, gram in enumerate(vocabulary)}
        sizes = np.fromiter(map(len, counts), dtype=np.int64, count=len(counts))
        tokens = np.fromiter((self._ids[gram] for own in counts for gram in own), np.int64, count=sizes.sum())
        times = np.fromiter((n for own in counts for n in own.values()), np.float64, count=sizes.sum())
        owners = np.repeat(np.arange(len(counts)), sizes)
        holding = np.bincount(tokens, minlength=len(self._ids))
        # The last, which a place of -1 finds, is that of n-grams in no phrase.
        held = np.append(holding, 0)
        self._idf = np.log1p((len(counts) - held + 0.5) / (held + 0.5))
        lengths = np.bincount(owners, times, minlength=len(counts))
        self._mean = max(float(lengths.mean()), 1.0) if counts else 1.0
        weights = self._idf[tokens] * self._saturated(times, lengths[owners])
        order = np.argsort(tokens, kind="stable")
        self._owners, self._weights = owners[order].astype(np.int32), weights[order]
        self._ends = [0, *np.cumsum(holding).tolist()]

    def find(self, grams: Sequence[str], most: int) -> tuple[Ints, Doubles]:
        """Rows that share n-grams, `most` at most, and their score as a share of what a phrase of `grams` would have.

        N-grams that no phrase holds count as the rarest there are: who says something else as well means less.
        """
        counts = Counter(grams)
        places = [self._ids.get(gram, -1) for gram in counts]
        times = np.fromiter(counts.values(), np.float64, count=len(counts))
        full = float(self._idf[places] @ self._saturated(times, len(grams)))
        known = sorted((self._ends[at + 1] - self._ends[at], self._ends[at]) for at in places if at >= 0)
        spans: list[slice] = []
        room = POSTINGS
        for size, start in known:
            room -= size
            if room < 0 and spans:
                break
            spans.append(slice(start, start + min(size, POSTINGS)))
        if not spans:
            return np.empty(0, np.int64), np.empty(0)
        total = np.bincount(
            np.concatenate([self._owners[span] for span in spans]),
            np.concatenate([self._weights[span] for span in spans]),
        )
        rows = np.flatnonzero(total >= WEAKEST * total.max())
        if len(rows) > most:
            rows = rows[np.argpartition(-total[rows], most)[:most]]
        return rows, np.minimum(total[rows] / full, 1.0)

    def _saturated(self, times: npt.ArrayLike, length: npt.ArrayLike) -> Doubles:
        times, norm = np.asarray(times), K1 * (1 - B + B * np.asarray(length) / self._mean)
        found: Doubles = times * (K1 + 1) / (times + norm)
        return found
