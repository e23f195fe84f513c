"""Lexical matches of a query: phrases with the same keys, or nearly, scored from 0 to 1 whatever they mean.

Queries and phrases are compared as keystrokes. A phrase can match in four ways:

- prefix: the query begins the phrase, or one of its words.
- initials: the same for a query of consonants alone, with the initial consonants of the phrase; or for one that mixes
  consonants with syllables or Latin letters, each lone consonant with the initial of a syllable.
- fuzzy: the query is few slips away from the phrase or its beginning.
- words: the query shares n-grams with the phrase, the rarer the better.

The best of the first three and the last are taken as independent: score = 1 - (1 - best) · (1 - words).
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from malgil_core.lexical.arrays import PhraseArrays
from malgil_core.lexical.fuzzy import all_fuzzy_scores
from malgil_core.lexical.numbers import Doubles, Found, Ints
from malgil_core.lexical.postings import Postings
from malgil_core.lexical.prefixes import Prefixes
from malgil_core.text.keystrokes import (
    initial_grams,
    initials,
    initials_pattern,
    key_grams,
    keys,
    only_consonants,
    words,
)

CANDIDATES = 64  # phrases scored for each way of matching
MIXED_CANDIDATES = 512  # phrases with the same initials, of which those are scored that have the same letters too
LONGEST_QUERY = 120  # keys; a longer query is a sentence that no catalog contains


@dataclass(frozen=True)
class Weights:
    """The weight of each way of matching, from 0 to below 1.

    The defaults were chosen for the bundled encoder by `python -m export catalog calibrate`.

    Raises:
        ValueError: a weight is out of its bounds.
    """

    first_prefix: float = 0.75  # lowest score of a query that begins the phrase; it is 1 for the whole phrase
    word_prefix: float = 0.45  # lowest score of a query that begins a later word
    phrase: float = 0.65  # factor, where the phrase is not the service's name
    initials: float = 0.95  # factor
    initials_words: float = 0.6  # factor of shared n-grams of initials
    fuzzy: float = 0.7  # factor
    fuzzy_threshold: float = 0.3  # similarity that counts as 0
    words: float = 0.6  # factor of shared n-grams of keys

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if not 0 <= value < 1:
                raise ValueError(f"weight {name} is {value}: it must be from 0 to below 1")


@dataclass(frozen=True)
class LexicalMatches:
    """The phrases that match a query lexically, each once."""

    rows: Ints  # [n], ascending: index of the phrase
    scores: Doubles  # [n], 0 to 1
    completions: Ints  # [n]: BEGINS, INITIALS or 0, by how the query may be typed on to the phrase


BEGINS = 2  # the query begins the phrase or one of its words, as keystrokes or initials
INITIALS = 1  # the query is consonants alone, most of which are initials of the phrase, in some order
MOST_INITIALS = 0.4  # score of shared n-grams of initials from which that is so
NO_MATCHES = LexicalMatches(np.empty(0, np.int64), np.empty(0), np.empty(0, np.int64))
NOTHING_FOUND = Found(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))


class LexicalIndex:
    """The phrases of a generation, ready to be compared with queries.

    Args:
        arrays: of P phrases.
        is_name: bool [P], whether a phrase is its service's name.
        weights: of the ways of matching.

    Raises:
        ValueError: the arrays cannot be those of P phrases.
    """

    def __init__(self, arrays: PhraseArrays, is_name: npt.NDArray[np.bool_], weights: Weights = Weights()) -> None:
        self.weights = weights
        self._is_name = is_name
        self._prefixes = Prefixes(arrays.keystrokes.prefixes, is_name)
        self._initials = Prefixes(arrays.initials.prefixes, is_name)
        self._words = Postings(arrays.keystrokes.postings, len(is_name))
        self._initial_words = Postings(arrays.initials.postings, len(is_name))
        self._spaced_keys = self._prefixes.texts()
        self._keys = [text.replace(" ", "") for text in self._spaced_keys]

    @classmethod
    def of(cls, phrases: Sequence[str], is_name: npt.NDArray[np.bool_], weights: Weights = Weights()) -> LexicalIndex:
        """The index of phrases in memory, without a file."""
        return cls(PhraseArrays.of(phrases), is_name, weights)

    def with_weights(self, weights: Weights) -> LexicalIndex:
        """The index of the same phrases with other weights; shares their arrays."""
        other = copy.copy(self)
        other.weights = weights
        return other

    def preferring(self, boost: Doubles) -> LexicalIndex:
        """The index of the same phrases, for which those with a higher boost [P] are kept where too many begin alike.

        Shares their arrays; scores are the same. Boosts differ by 4 or more, or are equal.
        """
        other = copy.copy(self)
        other._prefixes, other._initials = self._prefixes.preferring(boost), self._initials.preferring(boost)
        return other

    @property
    def keys(self) -> Sequence[str]:
        """[P], the keys that type each phrase, without spaces."""
        return self._keys

    def matches(self, query: str) -> LexicalMatches:
        """The phrases that match a query; none if it has no letters, or more than LONGEST_QUERY keys."""
        return self.all_matches([query])[0]

    def all_matches(self, queries: Sequence[str]) -> list[LexicalMatches]:
        """The phrases that match each query of a batch."""
        typed = [words(query) for query in queries]
        word_keys = [[keys(word) for word in query] for query in typed]
        texts = ["".join(query) for query in word_keys]
        asked = np.array([i for i, text in enumerate(texts) if 0 < len(text) <= LONGEST_QUERY], dtype=np.int64)
        if not len(asked):
            return [NO_MATCHES] * len(queries)
        shared = self._words.find_all([key_grams(word_keys[i]) for i in asked], CANDIDATES)
        shared = shared._replace(queries=asked[shared.queries])
        begun = [self._prefix_scores(self._prefixes, texts, asked)]
        best = [self._fuzzy_scores(texts, shared)]
        is_initials = np.array([len(texts[i]) > 1 and only_consonants("".join(typed[i])) for i in asked])
        grams = NOTHING_FOUND
        if is_initials.any():
            begun.append(_times(self._prefix_scores(self._initials, texts, asked[is_initials]), self.weights.initials))
            grams = self._initial_grams(typed, asked[is_initials])
            best.append(_times(grams, self.weights.initials_words * self._name_factor(grams.rows)))
        patterns = {int(i): initials_pattern(typed[i]) for i in asked[~is_initials]}
        if mixed := {i: pattern for i, pattern in patterns.items() if pattern}:
            begun.append(self._mixed_scores(typed, mixed))
        most = grams.scores >= MOST_INITIALS
        initials_found = Found(grams.queries[most], grams.rows[most], grams.scores[most])
        return self._combined(begun, best, _times(shared, self.weights.words), initials_found, len(queries))

    def _prefix_scores(self, prefixes: Prefixes, texts: Sequence[str], asked: Ints, limit: int = CANDIDATES) -> Found:
        """The phrases that begin with the texts of some queries, or have a word that does."""
        of_query, rows, is_first = prefixes.find_all([texts[i] for i in asked], limit)
        lengths = np.array([len(texts[i]) for i in asked])[of_query]
        lowest = np.where(is_first, self.weights.first_prefix, self.weights.word_prefix)
        typed = np.minimum(lengths / np.maximum(prefixes.lengths[rows], 1), 1.0)
        return Found(asked[of_query], rows, (lowest + (1 - lowest) * typed) * self._name_factor(rows))

    def _initial_grams(self, typed: Sequence[Sequence[str]], asked: Ints) -> Found:
        """The phrases that share n-grams of initial consonants with some queries."""
        found = self._initial_words.find_all([initial_grams(list(map(initials, typed[i]))) for i in asked], CANDIDATES)
        return found._replace(queries=asked[found.queries])

    def _mixed_scores(self, typed: Sequence[Sequence[str]], patterns: Mapping[int, str]) -> Found:
        """The phrases whose initials begin with those of some queries, and whose keys fit the patterns of these."""
        texts = ["".join(map(initials, query)) for query in typed]
        asked = np.array(list(patterns), dtype=np.int64)
        found = self._prefix_scores(self._initials, texts, asked, MIXED_CANDIDATES)
        fits = {query: re.compile(pattern).search for query, pattern in patterns.items()}
        pairs = zip(found.queries.tolist(), found.rows.tolist(), strict=True)
        kept = np.array(
            [at for at, (query, row) in enumerate(pairs) if fits[query](self._spaced_keys[row])], dtype=np.int64
        )
        kept = kept[np.lexsort((-found.scores[kept], found.queries[kept]))]
        place = np.arange(len(kept)) - np.searchsorted(found.queries[kept], found.queries[kept])
        kept = kept[place < CANDIDATES]
        return Found(found.queries[kept], found.rows[kept], self.weights.initials * found.scores[kept])

    def _fuzzy_scores(self, texts: Sequence[str], candidates: Found) -> Found:
        """The candidates, scored by how few slips they are away from their query."""
        w = self.weights
        ends = candidates.queries.searchsorted(np.arange(len(texts) + 1)).tolist()
        phrases = [self._keys[row] for row in candidates.rows.tolist()]
        scores = all_fuzzy_scores(
            texts, [phrases[low:high] for low, high in pairwise(ends)], w.fuzzy_threshold, w.first_prefix
        )
        return candidates._replace(scores=w.fuzzy * scores * self._name_factor(candidates.rows))

    def _name_factor(self, rows: Ints) -> Doubles:
        factor: Doubles = np.where(self._is_name[rows], 1.0, self.weights.phrase)
        return factor

    def _combined(
        self, begun: Sequence[Found], best: Sequence[Found], shared: Found, by_initials: Found, batch: int
    ) -> list[LexicalMatches]:
        """Each row once, with the best of its scores and that of shared words, as 1 - (1 - best) · (1 - words).

        Args:
            begun: matches of queries that begin a phrase or word.
            best: other matches of which the best counts.
            shared: of words.
            by_initials: matches of queries that are most of the initials of a phrase; their scores are not read.
            batch: number of queries.
        """
        phrases = len(self._is_name)
        scored = [*begun, *best]
        keys_of = [found.queries * phrases + found.rows for found in (*scored, shared)]
        pairs = np.concatenate(keys_of)
        pairs.sort()
        pairs = pairs[np.append(True, pairs[1:] != pairs[:-1])[: len(pairs)]]
        scores = np.zeros(len(pairs))
        for keys_found, found in zip(keys_of[:-1], scored, strict=True):
            np.maximum.at(scores, pairs.searchsorted(keys_found), found.scores)
        place = pairs.searchsorted(keys_of[-1])
        scores[place] = 1 - (1 - scores[place]) * (1 - shared.scores)
        completions = np.zeros(len(pairs), dtype=np.int64)
        completions[pairs.searchsorted(by_initials.queries * phrases + by_initials.rows)] = INITIALS
        for keys_found in keys_of[: len(begun)]:
            completions[pairs.searchsorted(keys_found)] = BEGINS
        ends = pairs.searchsorted(np.arange(batch + 1) * phrases).tolist()
        rows = pairs % max(phrases, 1)
        parts = (slice(low, high) for low, high in pairwise(ends))
        return [LexicalMatches(rows[part], scores[part], completions[part]) for part in parts]


def _times(found: Found, factor: float | Doubles) -> Found:
    return found._replace(scores=factor * found.scores)
