"""Phrases by their letters: which begin with a query's, and which share n-grams with it. Pure: no Triton here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Doubles = npt.NDArray[np.float64]

LONGEST_PREFIX = 24  # letters by which prefixes are looked up
POSTINGS = 50_000  # rows read for a query, of its rarest n-grams first: bounds its cost, whatever the index
WEAKEST = 0.2  # of the best score: what is below is not looked at closely
K1, B = 1.2, 0.75  # the usual values of BM25


class Spelling(NamedTuple):
    """P phrases in one form: W words with N letters, G different n-grams which H pairs of n-gram and phrase hold."""

    text: npt.NDArray[np.uint8]  # [N], ASCII: the phrases' letters end to end
    ends: npt.NDArray[np.int32]  # [P], where each phrase ends in the text
    starts: npt.NDArray[np.int32]  # [W], where words start, in the order of what the phrase says from there on
    grams: npt.NDArray[np.uint8]  # ASCII: the n-grams, a line feed after each
    holding: npt.NDArray[np.int32]  # [G], how many phrases hold each n-gram
    owners: npt.NDArray[np.int32]  # [H], those phrases, by n-gram, ascending
    times: npt.NDArray[np.int32]  # [H], how often the phrase holds it


class Prefixes:
    """Phrases by how they, or their words, begin.

    Args:
        spelling: `text`, `ends` and `starts` are read.
        is_name: [P], whether the phrase is its service's name.

    Raises:
        ValueError: the arrays do not fit each other.
    """

    def __init__(self, spelling: Spelling, is_name: npt.NDArray[np.bool_]) -> None:
        text, ends, starts = spelling.text, spelling.ends.astype(np.int64), spelling.starts.astype(np.int64)
        begins = np.append(0, ends)[: len(ends)]
        self.lengths: Ints = ends - begins  # of phrases, in letters
        _require(len(ends) == len(is_name), f"ends has {len(ends)} phrases, there are {len(is_name)}")
        _require(bool((self.lengths >= 0).all()), "ends is not ascending")
        _require(len(text) == (ends[-1] if len(ends) else 0), "ends does not end with text")
        _require(_within(text, 1, 127), "text is not ASCII")
        _require(_within(starts, 0, len(text) - 1), "starts is outside text")
        self._text, self._ends = text, ends
        self._letters = opening(text, ends, starts)
        _require(bool((self._letters[:-1] <= self._letters[1:]).all()), "starts is not in order")
        self._rows: Ints = np.searchsorted(ends, starts, side="right")
        self._first = starts == begins[self._rows]
        # Names before phrases, first words before later ones, short phrases before long ones.
        rank = 2.0 * is_name[self._rows] + self._first - np.minimum(self.lengths[self._rows], 900) / 1000
        self._rank = rank.astype(np.float32)  # which are kept when too many begin alike: the higher

    def texts(self) -> list[str]:
        """Each phrase's letters."""
        text = self._text.tobytes().decode("ascii")
        return [text[start:end] for start, end in pairwise([0, *self._ends.tolist()])]

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
    """Which phrases hold an n-gram: BM25 (Robertson et al. 1994).

    Args:
        spelling: `grams`, `holding`, `owners` and `times` are read.
        phrases: how many there are, P.

    Raises:
        ValueError: the arrays do not fit each other.
    """

    def __init__(self, spelling: Spelling, phrases: int) -> None:
        grams, holding, owners, times = spelling.grams, spelling.holding, spelling.owners, spelling.times
        _require(_within(grams, 1, 127), "grams is not ASCII")
        self._ids = {gram: at for at, gram in enumerate(grams.tobytes().decode("ascii").split("\n")[:-1])}
        _require(len(self._ids) == len(holding), "grams and holding are not of one length, or a gram is there twice")
        _require(_within(holding, 1, phrases), "holding is not from 1 to the number of phrases")
        ends = np.cumsum(holding, dtype=np.int64)
        _require(len(owners) == len(times) == (ends[-1] if len(ends) else 0), "owners or times is not as long as held")
        _require(_within(owners, 0, phrases - 1), "owners names a phrase that is not there")
        descends = np.flatnonzero(np.diff(owners) <= 0) + 1
        _require(bool(np.isin(descends, ends).all()), "owners is not ascending within an n-gram")
        _require(_within(times, 1, None), "times is not positive")
        # The last, which a place of -1 finds, is that of n-grams in no phrase.
        held = np.append(holding, 0)
        self._idf = np.log1p((phrases - held + 0.5) / (held + 0.5))
        lengths = np.bincount(owners, times, minlength=phrases)
        self._mean = max(float(lengths.mean()), 1.0) if phrases else 1.0
        self._owners = owners
        self._weights = np.repeat(self._idf[:-1], holding) * self._saturated(times, lengths[owners])
        self._ends = [0, *ends.tolist()]

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


def opening(
    text: npt.NDArray[np.uint8], ends: npt.NDArray[np.int64], starts: npt.NDArray[np.int64]
) -> npt.NDArray[Any]:
    """S24 [W]: what a phrase says from each start on, at most LONGEST_PREFIX letters."""
    padded = np.append(text, np.zeros(LONGEST_PREFIX, np.uint8))
    letters = np.lib.stride_tricks.sliding_window_view(padded, LONGEST_PREFIX)[starts]
    left = ends[np.searchsorted(ends, starts, side="right")] - starts
    letters[np.arange(LONGEST_PREFIX) >= left[:, np.newaxis]] = 0
    return letters.view(f"S{LONGEST_PREFIX}")[:, 0]


def _within(array: npt.NDArray[Any], least: int, most: int | None) -> bool:
    return not len(array) or bool(array.min() >= least and (most is None or array.max() <= most))


def _require(fits: bool, otherwise: str) -> None:
    if not fits:
        raise ValueError(otherwise)
