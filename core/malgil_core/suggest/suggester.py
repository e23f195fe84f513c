"""Suggestions for what is being typed: completions first, then texts that it is few slips away from.

A text is a completion if what is typed begins it or one of its words: as keystrokes, so that half a syllable and the
wrong keyboard layout do, too, or as initial consonants. What people chose most comes first, then what matches best
lexically. Of each service the best text is suggested, and no text twice.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from malgil_core.index.generation import Generation
from malgil_core.lexical.fuzzy import all_fuzzy_scores
from malgil_core.lexical.index import BEGINS, INITIALS, NO_MATCHES, LexicalIndex, LexicalMatches
from malgil_core.lexical.numbers import Ints
from malgil_core.lexical.prefixes import LONGEST_PREFIX
from malgil_core.suggest.candidates import null_texts, of_generation, plain
from malgil_core.suggest.types import Suggestion, SuggestOptions
from malgil_core.text.keystrokes import keys, words

# Similarity (OSA, 0 to 1) with the beginning of a text from which what is typed counts as that text with slips: one in
# four keys, three in ten.
MOST_LIKE = 0.7
FEWEST_KEYS = 4  # of what is typed with slips: of three keys, one slip leaves anything
SHOWN = 2.0**48  # a boost above any count, that leaves room for smaller differences
COMPLETES, RESEMBLES = 2, 1


class Suggester:
    """The suggestions of one generation.

    Args:
        generation: from `reader.load_texts`.

    Raises:
        GenerationError: what people chose is out of its bounds, or the lexical index is missing.
    """

    def __init__(self, generation: Generation) -> None:
        phrases, typed = of_generation(generation)
        self._phrases = len(phrases.texts)
        self._texts = [*phrases.texts, *typed.texts]
        self._plain = [*phrases.plain, *typed.plain]
        self._keys = [*phrases.lexical.keys, *typed.lexical.keys]
        self._services: Ints = np.concatenate([phrases.services, typed.services])
        self._chosen: Ints = np.concatenate([phrases.chosen, typed.chosen])
        self._null = null_texts(generation)
        self._names: Ints = np.searchsorted(phrases.services, np.arange(len(generation.thresholds)))
        self._shown: dict[str | None, npt.NDArray[np.bool_]] = {
            surface: shown[self._services] for surface, shown in generation.surfaces.items()
        }
        self._shown[None] = np.ones(len(self._texts), dtype=bool)
        self._lexical = {
            surface: self._preferring(shown, phrases.lexical, typed.lexical) for surface, shown in self._shown.items()
        }

    def suggest(self, typed: Sequence[str], options: Sequence[SuggestOptions]) -> list[list[Suggestion]]:
        """The suggestions for each text of a batch, best first.

        Args:
            typed: texts as they are being typed.
            options: of each.
        """
        found: list[list[Suggestion]] = [[] for _ in typed]
        for surface in dict.fromkeys(option.surface for option in options):
            places = [place for place, option in enumerate(options) if option.surface == surface]
            asked = [typed[place] for place in places]
            phrases, typed_before = self._lexical[surface]
            of_phrases = phrases.all_matches(asked)
            of_typed = typed_before.all_matches(asked) if typed_before.keys else [NO_MATCHES] * len(asked)
            for place, *matches in zip(places, of_phrases, of_typed, strict=True):
                found[place] = self._best(typed[place], matches, self._shown[surface], options[place].top_k)
        return found

    def _preferring(
        self, shown: npt.NDArray[np.bool_], phrases: LexicalIndex, typed: LexicalIndex
    ) -> tuple[LexicalIndex, LexicalIndex]:
        """Both indexes, which find what is shown before what is not, and what was chosen most before the rest.

        They look at a few dozen texts for each way of matching, and of a single letter thousands may be completions.
        """
        boost = 4.0 * self._chosen + SHOWN * shown
        return phrases.preferring(boost[: self._phrases]), typed.preferring(boost[self._phrases :])

    def _best(
        self, typed: str, matches: Sequence[LexicalMatches], shown: npt.NDArray[np.bool_], top_k: int
    ) -> list[Suggestion]:
        rows = np.concatenate([matches[0].rows, matches[1].rows + self._phrases])
        scores = np.concatenate([found.scores for found in matches])
        completions = np.concatenate([found.completions for found in matches])
        is_shown = shown[rows]
        rows, scores, completions = rows[is_shown], scores[is_shown], completions[is_shown]
        typed_keys = "".join(map(keys, words(typed)))
        completes = completions == BEGINS
        if len(typed_keys) > LONGEST_PREFIX:  # the index has looked at so many keys alone
            completes &= np.array([typed_keys in self._keys[row] for row in rows.tolist()], dtype=bool)
        kinds = np.where(completes, COMPLETES, 0)
        typed_plain = plain(typed)
        # One may be what is typed already. A null phrase is no slip of the fingers.
        if len(np.unique(self._services[rows[completes]])) <= top_k and typed_plain not in self._null:
            rest = np.flatnonzero(~completes)
            resembles = (completions[rest] == INITIALS) | self._resembling(typed_keys, rows[rest])
            kinds[rest[resembles]] = RESEMBLES
        kept = np.flatnonzero(kinds)
        order = kept[np.lexsort((rows[kept], -scores[kept], -self._chosen[rows[kept]], -kinds[kept]))]
        return self._different(typed_plain, rows[order].tolist(), scores[order].tolist(), top_k)

    def _resembling(self, typed_keys: str, rows: Ints) -> npt.NDArray[np.bool_]:
        """Which of these rows what is typed is few slips away from, or from the beginning of."""
        if len(typed_keys) < FEWEST_KEYS or not len(rows):
            return np.zeros(len(rows), dtype=bool)
        # A key too many or too few moves the end of what is compared.
        ends = range(len(typed_keys) - 1, len(typed_keys) + 2)
        texts = [self._keys[row][:end] for row in rows.tolist() for end in ends]
        similarity = all_fuzzy_scores([typed_keys], [texts], 0.0, 1.0).reshape(-1, len(ends))
        like: npt.NDArray[np.bool_] = similarity.max(axis=1) >= MOST_LIKE
        return like

    def _different(self, typed: str, rows: Sequence[int], scores: Sequence[float], top_k: int) -> list[Suggestion]:
        """Suggestions of these rows, best first: one for each service, and no text twice.

        What is typed already is no suggestion; the name of its service is, where that is another text.
        """
        found: list[Suggestion] = []
        services: set[int] = set()
        texts = {typed}
        for row, score in zip(rows, scores, strict=True):
            service = int(self._services[row])
            place = row if self._plain[row] != typed else int(self._names[service])
            text = self._plain[place]
            if service in services or text in texts:
                continue
            services.add(service)
            texts.add(text)
            found.append(Suggestion(self._texts[place], service, place >= self._phrases, score))
            if len(found) == top_k:
                break
        return found
