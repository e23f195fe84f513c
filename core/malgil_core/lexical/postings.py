"""Postings: the phrases that share n-grams with a query, scored by BM25 (Robertson et al. 1994)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain, pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from malgil_core.lexical.numbers import Doubles, Found, Ints, ranges, require, within

MAX_READ = 50_000  # postings read for a query, of its rarest n-grams first: bounds its cost, whatever the index
MAX_SCORES = 2**20  # scores of queries and phrases held at once
LOWEST = 0.2  # of the best score: phrases below it are left out
K1, B = 1.2, 0.75  # the usual values of BM25


class PostingArrays(NamedTuple):
    """An inverted index: G different n-grams, and H postings, each a pair of an n-gram and a phrase with it.

    Attributes:
        grams: uint8, ASCII, the n-grams with a line feed after each.
        doc_freq: int32 [G], how many phrases contain each n-gram.
        posting_rows: int32 [H], the rows of those phrases, ascending within each n-gram.
        term_freq: int32 [H], how often the phrase contains the n-gram.
    """

    grams: npt.NDArray[np.uint8]
    doc_freq: npt.NDArray[np.int32]
    posting_rows: npt.NDArray[np.int32]
    term_freq: npt.NDArray[np.int32]

    @classmethod
    def of(cls, phrases: Iterable[Sequence[str]]) -> PostingArrays:
        """The arrays of phrases, each given as its n-grams in ASCII."""
        counts = [Counter(grams) for grams in phrases]
        ids = {gram: at for at, gram in enumerate(dict.fromkeys(chain.from_iterable(counts)))}
        sizes = np.fromiter(map(len, counts), dtype=np.int64, count=len(counts))
        tokens = np.fromiter(map(ids.__getitem__, chain.from_iterable(counts)), np.int64, count=sizes.sum())
        term_freq = np.fromiter(chain.from_iterable(count.values() for count in counts), np.int32, count=sizes.sum())
        rows = np.repeat(np.arange(len(counts), dtype=np.int32), sizes)
        order = np.argsort(tokens, kind="stable")
        text = np.frombuffer("".join(gram + "\n" for gram in ids).encode("ascii"), np.uint8)
        return cls(text, np.bincount(tokens, minlength=len(ids)).astype(np.int32), rows[order], term_freq[order])


class Postings:
    """An inverted index with the BM25 weight of each posting.

    Scores are divided by that of a phrase that consists of the query's n-grams, so that they are at most 1. Of a query
    "a b" the second phrase contains "a", which is the more common:

    >>> arrays = PostingArrays.of([["a", "b"], ["a", "c"], ["d"]])
    >>> arrays.doc_freq.tolist(), arrays.posting_rows.tolist()  # of a, b, c, d
    ([2, 1, 1, 1], [0, 1, 0, 1, 2])
    >>> rows, scores = Postings(arrays, phrases=3).find(["a", "b"], limit=10)
    >>> dict(zip(rows.tolist(), scores.round(2).tolist()))
    {0: 1.0, 1: 0.32}

    Args:
        arrays: of P phrases.
        phrases: P.

    Raises:
        ValueError: the arrays do not fit each other.
    """

    def __init__(self, arrays: PostingArrays, phrases: int) -> None:
        grams, doc_freq, posting_rows, term_freq = arrays
        require(within(grams, 1, 127), "grams is not ASCII")
        self._ids = {gram: at for at, gram in enumerate(grams.tobytes().decode("ascii").split("\n")[:-1])}
        require(len(self._ids) == len(doc_freq), "grams and doc_freq are not of one length, or a gram is there twice")
        require(within(doc_freq, 1, phrases), "doc_freq is not from 1 to the number of phrases")
        ends = np.cumsum(doc_freq, dtype=np.int64)
        total = ends[-1] if len(ends) else 0
        require(len(posting_rows) == len(term_freq) == total, "posting_rows or term_freq is not of doc_freq's sum")
        require(within(posting_rows, 0, phrases - 1), "posting_rows names a phrase that is not there")
        descends = np.flatnonzero(np.diff(posting_rows) <= 0) + 1
        require(bool(np.isin(descends, ends).all()), "posting_rows is not ascending within an n-gram")
        require(within(term_freq, 1, None), "term_freq is not positive")
        # The last element, which an id of -1 finds, is for n-grams that no phrase contains.
        padded = np.append(doc_freq, 0)
        self._idf = np.log1p((phrases - padded + 0.5) / (padded + 0.5))
        lengths = np.bincount(posting_rows, term_freq, minlength=phrases)
        self._mean_length = max(float(lengths.mean()), 1.0) if phrases else 1.0
        self._rows = posting_rows
        self._weights = np.repeat(self._idf[:-1], doc_freq) * self._saturated(term_freq, lengths[posting_rows])
        self._ends = np.append(0, ends)
        self._phrases = phrases

    def find(self, grams: Sequence[str], limit: int) -> tuple[Ints, Doubles]:
        """`find_all` for one query: the phrases, and their scores."""
        found = self.find_all([grams], limit)
        return found.rows, found.scores

    def find_all(self, queries: Sequence[Sequence[str]], limit: int) -> Found:
        """The phrases that share n-grams with each query of a batch, at most `limit` of them, scored from 0 to 1.

        N-grams that no phrase contains count as the rarest of all: a query that names something else as well scores
        lower. Rare n-grams are read first; those left unread when MAX_READ is used up count in the same way.

        Args:
            queries: the n-grams of each.
            limit: phrases for each at most.
        """
        counts = [Counter(grams) for grams in queries]
        of_query = np.arange(len(counts)).repeat([len(count) for count in counts])
        ids = np.array([self._ids.get(gram, -1) for count in counts for gram in count], dtype=np.int64)
        term_freq = np.array([freq for count in counts for freq in count.values()], dtype=np.float64)
        lengths = np.array([len(grams) for grams in queries], dtype=np.float64)[of_query]
        weights = self._idf[ids] * self._saturated(term_freq, lengths)
        full = np.bincount(of_query, weights, minlength=len(counts))  # the score of the query itself
        of_query, starts, sizes = self._spans(of_query[ids >= 0], ids[ids >= 0])
        found = []
        step = max(MAX_SCORES // max(self._phrases, 1), 1)
        for first in range(0, len(counts), step):
            low, high = of_query.searchsorted([first, first + step])
            part = slice(low, high)
            if low < high:
                found.append(self._best(of_query[part], starts[part], sizes[part], limit))
        if not found:
            return Found(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))
        of_hit, rows, scores = found[0] if len(found) == 1 else map(np.concatenate, zip(*found, strict=True))
        return Found(of_hit, rows, np.minimum(scores / full[of_hit], 1.0))

    def _spans(self, of_query: Ints, ids: Ints) -> tuple[Ints, Ints, Ints]:
        """The postings to read, as query, start and size: the rarest n-grams of each query, up to MAX_READ postings."""
        starts = self._ends[ids]
        sizes = self._ends[ids + 1] - starts
        order = np.lexsort((starts, sizes, of_query))
        of_query, starts, sizes = of_query[order], starts[order], sizes[order]
        firsts = of_query.searchsorted(of_query)  # for each span, the first of its query
        read = sizes.cumsum()
        read -= read[firsts] - sizes[firsts]
        kept = (read <= MAX_READ) | (firsts == np.arange(len(firsts)))
        return of_query[kept], starts[kept], np.minimum(sizes[kept], MAX_READ)

    def _best(self, of_query: Ints, starts: Ints, sizes: Ints, limit: int) -> Found:
        """The phrases that score highest for each query, by the sum of their postings' weights."""
        postings = ranges(starts, sizes)
        first = of_query[0]
        batch = int(of_query[-1] - first) + 1
        places = ((of_query - first) * self._phrases).repeat(sizes) + self._rows[postings]
        scores = np.bincount(places, self._weights[postings], batch * self._phrases).astype(np.float64, copy=False)
        table = scores.reshape(batch, self._phrases)
        best = table.max(axis=1)
        lowest = np.where(best > 0, LOWEST * best, np.inf)
        places = (table >= lowest[:, np.newaxis]).ravel().nonzero()[0]
        ends = places.searchsorted(np.arange(batch + 1) * self._phrases)
        if (ends[1:] - ends[:-1]).max() > limit:
            places = np.concatenate([_highest(places[low:high], scores, limit) for low, high in pairwise(ends)])
        return Found(places // self._phrases + first, places % self._phrases, scores[places])

    def _saturated(self, term_freq: npt.ArrayLike, length: npt.ArrayLike) -> Doubles:
        """BM25's term frequency: it grows ever more slowly, and less in long phrases."""
        freq, norm = np.asarray(term_freq), K1 * (1 - B + B * np.asarray(length) / self._mean_length)
        saturated: Doubles = freq * (K1 + 1) / (freq + norm)
        return saturated


def _highest(places: Ints, scores: Doubles, limit: int) -> Ints:
    return places if len(places) <= limit else places[np.argpartition(-scores[places], limit)[:limit]]
