"""How far the letters of a query speak for a phrase, whatever they mean: evidence from 0 to 1. Pure: no Triton here.

What is compared are keys (see keys.py), looked up in arrays that a publish made (see letters.py). There are four kinds:

- prefix: the query begins the phrase, or one of its words.
- initials: the same for queries of consonants alone, with the initial consonants of the phrase.
- fuzzy: the query is few slips apart from the phrase or its beginning: OSA distance (Damerau 1964, restricted).
- words: the query shares n-grams of keys with the phrase, the rarer the better: BM25.

The best of the first three, and the last, are taken as independent: share = 1 - (1 - best) · (1 - words).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from rapidfuzz import process
from rapidfuzz.distance import OSA

from malgil_core.lexical.arrays import Letters, spell
from malgil_core.lexical.postings import Doubles, Ints, Postings, Prefixes
from malgil_core.text.keystrokes import initial_grams, initials, key_grams, keys, only_consonants, words

CANDIDATES = 64  # phrases of each kind that are looked at closely
LONGEST_QUERY = 120  # keys; what is longer is a sentence that nobody wrote into a catalogue


@dataclass(frozen=True)
class Weights:
    """How much each kind of evidence can say, from 0 to 1; chosen by `python -m benchmarks tune`."""

    first_prefix: float = 0.75  # begins the phrase, at the least; 1 if it is all of it
    word_prefix: float = 0.45  # begins a word further on, at the least
    phrase: float = 0.65  # times, where the phrase is not the service's name
    initials: float = 0.95  # times, where initials matched
    initials_words: float = 0.6  # times the share of n-grams of initials
    fuzzy: float = 0.7  # times
    fuzzy_from: float = 0.3  # the similarity that says nothing yet
    words: float = 0.6  # times


@dataclass(frozen=True)
class LexicalMatches:
    """Phrases that a query's letters speak for, each once."""

    rows: Ints  # [n], ascending: index of the phrase
    scores: Doubles  # [n], 0 to 1


NO_MATCHES = LexicalMatches(np.empty(0, np.int64), np.empty(0))


class LexicalIndex:
    """The phrases of a generation, ready to be compared with queries.

    Args:
        letters: of P phrases.
        is_name: [P], whether the phrase is its service's name.
        weights: of the kinds of evidence.

    Raises:
        ValueError: the arrays cannot be those of P phrases.
    """

    def __init__(self, letters: Letters, is_name: npt.NDArray[np.bool_], weights: Weights = Weights()) -> None:
        self.weights = weights
        self._is_name = is_name
        self._prefixes = Prefixes(letters.keys, is_name)
        self._initials = Prefixes(letters.initials, is_name)
        self._words = Postings(letters.keys, len(is_name))
        self._initial_words = Postings(letters.initials, len(is_name))
        self._keys = self._prefixes.texts()
        self._lengths = np.maximum(self._prefixes.lengths, 1).astype(np.float64)
        self._syllables = np.maximum(self._initials.lengths, 1).astype(np.float64)

    @classmethod
    def of(cls, phrases: Sequence[str], is_name: npt.NDArray[np.bool_], weights: Weights = Weights()) -> LexicalIndex:
        """One that is not read from a file; 40 µs a phrase."""
        return cls(spell(phrases), is_name, weights)

    def matches(self, query: str) -> LexicalMatches:
        """What the letters of a query speak for; nothing if it has none."""
        own, w = words(query), self.weights
        spelled = [keys(word) for word in own]
        letters = "".join(spelled)
        if not letters or len(letters) > LONGEST_QUERY:
            return NO_MATCHES
        near, share = self._words.find(key_grams(spelled), CANDIDATES)
        said = [(near, w.words * share)]
        begun = [self._begun(self._prefixes, letters, self._lengths), self._fuzzy(letters, near)]
        if len(letters) > 1 and only_consonants("".join(own)):
            rows, share = self._begun(self._initials, letters, self._syllables)
            begun.append((rows, w.initials * share))
            rows, share = self._initial_words.find(initial_grams([initials(word) for word in own]), CANDIDATES)
            begun.append((rows, w.initials_words * share * self._by_name(rows)))
        return _join(begun, said)

    def _begun(self, prefixes: Prefixes, letters: str, lengths: Doubles) -> tuple[Ints, Doubles]:
        rows, first = prefixes.find(letters, CANDIDATES)
        least = np.where(first, self.weights.first_prefix, self.weights.word_prefix)
        typed = np.minimum(len(letters) / lengths[rows], 1.0)
        return rows, (least + (1 - least) * typed) * self._by_name(rows)

    def _fuzzy(self, letters: str, rows: Ints) -> tuple[Ints, Doubles]:
        w = self.weights
        texts = [self._keys[row] for row in rows]
        whole = self._likeness(letters, texts)
        begun = self._likeness(letters, [text[: len(letters)] for text in texts])
        typed = np.minimum(len(letters) / self._lengths[rows], 1.0)
        share = np.maximum(whole, begun * (w.first_prefix + (1 - w.first_prefix) * typed))
        return rows, w.fuzzy * share * self._by_name(rows)

    def _likeness(self, letters: str, texts: list[str]) -> Doubles:
        if not texts:
            return np.empty(0)
        likeness: Doubles = process.cdist([letters], texts, scorer=OSA.normalized_similarity)[0].astype(np.float64)
        least = self.weights.fuzzy_from
        return np.maximum(likeness - least, 0) / (1 - least)

    def _by_name(self, rows: Ints) -> Doubles:
        times: Doubles = np.where(self._is_name[rows], 1.0, self.weights.phrase)
        return times


def _join(best: Sequence[tuple[Ints, Doubles]], independent: Sequence[tuple[Ints, Doubles]]) -> LexicalMatches:
    """Shares by row: the best of some kinds, then what independent ones leave open, as 1 - (1 - a)(1 - b)."""
    rows, place = np.unique(np.concatenate([part[0] for part in (*best, *independent)]), return_inverse=True)
    scores = np.zeros(len(rows))
    at = sum(len(part[0]) for part in best)
    np.maximum.at(scores, place[:at], np.concatenate([part[1] for part in best]))
    for own, share in independent:
        mine = place[at : at + len(own)]
        scores[mine] = 1 - (1 - scores[mine]) * (1 - share)
        at += len(own)
    return LexicalMatches(rows, scores)
