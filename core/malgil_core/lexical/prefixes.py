"""Prefixes: the words that begin with given letters, and the phrases they stand in."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from itertools import chain, pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from malgil_core.lexical.numbers import Doubles, Ints, require, within

LONGEST_PREFIX = 24  # letters of a query that are looked at


class PrefixArrays(NamedTuple):
    """The letters of P phrases, N in all, and their W words in sorted order.

    Attributes:
        text: uint8 [N], ASCII, the phrases end to end without spaces.
        ends: int32 [P], where each phrase ends in the text.
        starts: int32 [W], where words start, sorted by what the phrase holds from there on.
    """

    text: npt.NDArray[np.uint8]
    ends: npt.NDArray[np.int32]
    starts: npt.NDArray[np.int32]

    @classmethod
    def of(cls, phrases: Sequence[Sequence[str]]) -> PrefixArrays:
        """The arrays of phrases, each given as its words in ASCII."""
        text = np.frombuffer("".join(chain.from_iterable(phrases)).encode("ascii"), np.uint8)
        ends = np.cumsum([sum(map(len, words)) for words in phrases], dtype=np.int64)
        lengths = np.fromiter((len(word) for words in phrases for word in words), np.int64)
        starts = np.cumsum(lengths) - lengths
        starts = starts[np.argsort(_openings(text, ends, starts), kind="stable")]
        return cls(text, ends.astype(np.int32), starts.astype(np.int32))


class Prefixes:
    """A sorted list of words, in which a binary search finds those with a prefix.

    A word goes on to the end of its phrase. 송금 내역 is "thdrma", "sodur"; 내역 조회 is "sodur", "whghl":

    >>> phrases = PrefixArrays.of([["thdrma", "sodur"], ["sodur", "whghl"]])
    >>> rows, is_first = Prefixes(phrases, np.array([True, True])).find("sod", limit=10)
    >>> sorted(zip(rows.tolist(), is_first.tolist()))
    [(0, False), (1, True)]

    Args:
        arrays: of P phrases.
        is_name: bool [P], whether a phrase is its service's name.

    Raises:
        ValueError: the arrays do not fit each other.
    """

    def __init__(self, arrays: PrefixArrays, is_name: npt.NDArray[np.bool_]) -> None:
        text, ends, starts = arrays.text, arrays.ends.astype(np.int64), arrays.starts.astype(np.int64)
        begins = np.append(0, ends)[: len(ends)]
        self.lengths: Ints = ends - begins  # of phrases, in letters
        require(len(ends) == len(is_name), f"ends has {len(ends)} phrases, there are {len(is_name)}")
        require(bool((self.lengths >= 0).all()), "ends is not ascending")
        require(len(text) == (ends[-1] if len(ends) else 0), "ends does not end with text")
        require(within(text, 1, 127), "text is not ASCII")
        require(within(starts, 0, len(text) - 1), "starts is outside text")
        self._text, self._ends = text, ends
        self._words = _openings(text, ends, starts)
        require(bool((self._words[:-1] <= self._words[1:]).all()), "starts is not in order")
        self._rows: Ints = np.searchsorted(ends, starts, side="right")
        self._is_first = starts == begins[self._rows]
        self._later_starts = np.sort(starts[~self._is_first])
        # Names before phrases, first words before later ones, short phrases before long ones.
        priority = 2.0 * is_name[self._rows] + self._is_first - np.minimum(self.lengths[self._rows], 900) / 1000
        # The highest are kept where too many words begin alike.
        self._priority: npt.NDArray[Any] = priority.astype(np.float32)

    def preferring(self, boost: Doubles) -> Prefixes:
        """The same words, which share their arrays, of phrases [P] with a boost: a higher one is kept before all else.

        Boosts differ by 4 or more, or are equal.
        """
        other = copy.copy(self)
        other._priority = self._priority + boost[self._rows]
        return other

    def texts(self) -> list[str]:
        """The letters of each phrase, with a space between its words."""
        text = np.insert(self._text, self._later_starts, ord(" ")).tobytes().decode("ascii")
        ends = self._ends + np.searchsorted(self._later_starts, self._ends)
        return [text[start:end] for start, end in pairwise([0, *ends.tolist()])]

    def find(self, prefix: str, limit: int) -> tuple[Ints, npt.NDArray[np.bool_]]:
        """`find_all` for one prefix: the rows, and whether each word is its phrase's first."""
        _, rows, is_first = self.find_all([prefix], limit)
        return rows, is_first

    def find_all(self, prefixes: Sequence[str], limit: int) -> tuple[Ints, Ints, npt.NDArray[np.bool_]]:
        """The words that begin with each prefix of a batch, at most `limit` of them.

        Letters beyond LONGEST_PREFIX are not looked at.

        Returns:
            For each word the index of the prefix, the row of its phrase, and whether it is the phrase's first word.
        """
        bounds = np.array([_range_of(prefix) for prefix in prefixes], dtype=f"S{LONGEST_PREFIX}")
        ends = self._words.searchsorted(bounds.reshape(-1, 2))
        found = [self._first_of(low, high, limit) for low, high in ends.tolist()]
        places = np.concatenate(found) if found else np.empty(0, np.int64)
        of_prefix = np.arange(len(found)).repeat([len(part) for part in found])
        return of_prefix, self._rows[places], self._is_first[places]

    def _first_of(self, low: int, high: int, limit: int) -> Ints:
        if high - low <= limit:
            return np.arange(low, high)
        return low + np.argpartition(-self._priority[low:high], limit)[:limit]


def _range_of(prefix: str) -> tuple[bytes, bytes]:
    """The prefix, and the first text after all that begin with it."""
    low = prefix.encode()[:LONGEST_PREFIX]
    return low, low[:-1] + bytes([low[-1] + 1])  # ASCII: there is always a next letter


def _openings(
    text: npt.NDArray[np.uint8], ends: npt.NDArray[np.int64], starts: npt.NDArray[np.int64]
) -> npt.NDArray[Any]:
    """S24 [W]: what the phrase holds from each start on, at most LONGEST_PREFIX letters."""
    padded = np.append(text, np.zeros(LONGEST_PREFIX, np.uint8))
    letters = np.lib.stride_tricks.sliding_window_view(padded, LONGEST_PREFIX)[starts]
    remaining = ends[np.searchsorted(ends, starts, side="right")] - starts
    letters[np.arange(LONGEST_PREFIX) >= remaining[:, np.newaxis]] = 0
    return letters.view(f"S{LONGEST_PREFIX}")[:, 0]
