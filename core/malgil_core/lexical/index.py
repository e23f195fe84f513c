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

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from malgil_core.lexical.arrays import PhraseArrays
from malgil_core.lexical.fuzzy import fuzzy_scores
from malgil_core.lexical.numbers import Doubles, Ints
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
)  # fmt: skip

CANDIDATES = 64  # phrases scored for each way of matching
MIXED_CANDIDATES = 512  # phrases with the same initials, of which those are scored that have the same letters too
LONGEST_QUERY = 120  # keys; a longer query is a sentence that no catalog contains


@dataclass(frozen=True)
class Weights:
    """The weight of each way of matching, from 0 to 1; chosen by `python -m benchmarks tune`."""

    first_prefix: float = 0.75  # lowest score of a query that begins the phrase; it is 1 for the whole phrase
    word_prefix: float = 0.45  # lowest score of a query that begins a later word
    phrase: float = 0.65  # factor, where the phrase is not the service's name
    initials: float = 0.95  # factor
    initials_words: float = 0.6  # factor of shared n-grams of initials
    fuzzy: float = 0.7  # factor
    fuzzy_threshold: float = 0.3  # similarity that counts as 0
    words: float = 0.6  # factor of shared n-grams of keys


@dataclass(frozen=True)
class LexicalMatches:
    """The phrases that match a query lexically, each once."""

    rows: Ints  # [n], ascending: index of the phrase
    scores: Doubles  # [n], 0 to 1


NO_MATCHES = LexicalMatches(np.empty(0, np.int64), np.empty(0))


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
        self._keys = self._prefixes.texts()  # with spaces between words

    @classmethod
    def of(cls, phrases: Sequence[str], is_name: npt.NDArray[np.bool_], weights: Weights = Weights()) -> LexicalIndex:
        """The index of phrases in memory, without a file."""
        return cls(PhraseArrays.of(phrases), is_name, weights)

    def matches(self, query: str) -> LexicalMatches:
        """The phrases that match a query; none if it has no letters, or more than LONGEST_QUERY keys."""
        query_words, w = words(query), self.weights
        word_keys = [keys(word) for word in query_words]
        text = "".join(word_keys)
        if not text or len(text) > LONGEST_QUERY:
            return NO_MATCHES
        rows, shared = self._words.find(key_grams(word_keys), CANDIDATES)
        best = [self._prefix_scores(self._prefixes, text), self._fuzzy_scores(text, rows)]
        if len(text) > 1 and only_consonants("".join(query_words)):
            begun, scores = self._prefix_scores(self._initials, text)
            best.append((begun, w.initials * scores))
            found, scores = self._initial_words.find(
                initial_grams([initials(word) for word in query_words]), CANDIDATES
            )
            best.append((found, w.initials_words * scores * self._name_factor(found)))
        elif pattern := initials_pattern(query_words):
            best.append(self._mixed_scores(pattern, "".join(map(initials, query_words))))
        return _combined(best, rows, w.words * shared)

    def _prefix_scores(self, prefixes: Prefixes, text: str, limit: int = CANDIDATES) -> tuple[Ints, Doubles]:
        rows, is_first = prefixes.find(text, limit)
        lowest = np.where(is_first, self.weights.first_prefix, self.weights.word_prefix)
        typed = np.minimum(len(text) / np.maximum(prefixes.lengths[rows], 1), 1.0)
        return rows, (lowest + (1 - lowest) * typed) * self._name_factor(rows)

    def _mixed_scores(self, pattern: str, text: str) -> tuple[Ints, Doubles]:
        """Scores of phrases whose initials begin with those of the query, and whose keys fit its pattern."""
        rows, scores = self._prefix_scores(self._initials, text, MIXED_CANDIDATES)
        fits = re.compile(pattern)
        kept = [at for at, row in enumerate(rows.tolist()) if fits.search(self._keys[row])]
        kept = sorted(kept, key=lambda at: -scores[at])[:CANDIDATES]
        return rows[kept], self.weights.initials * scores[kept]

    def _fuzzy_scores(self, text: str, rows: Ints) -> tuple[Ints, Doubles]:
        w = self.weights
        scores = fuzzy_scores(
            text, [self._keys[row].replace(" ", "") for row in rows], w.fuzzy_threshold, w.first_prefix
        )
        return rows, w.fuzzy * scores * self._name_factor(rows)

    def _name_factor(self, rows: Ints) -> Doubles:
        factor: Doubles = np.where(self._is_name[rows], 1.0, self.weights.phrase)
        return factor


def _combined(best: Sequence[tuple[Ints, Doubles]], word_rows: Ints, word_scores: Doubles) -> LexicalMatches:
    """Each row once, with the best of its scores and that of shared words, as 1 - (1 - best) · (1 - words)."""
    rows, place = np.unique(np.concatenate([*(found for found, _ in best), word_rows]), return_inverse=True)
    scores = np.zeros(len(rows))
    end = len(place) - len(word_rows)
    np.maximum.at(scores, place[:end], np.concatenate([found for _, found in best]))
    scores[place[end:]] = 1 - (1 - scores[place[end:]]) * (1 - word_scores)
    return LexicalMatches(rows, scores)
