"""Candidates: the texts of a generation that can be suggested, with how often people chose their service by them."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from malgil_core.catalog.errors import CatalogError
from malgil_core.index.generation import Generation, GenerationError
from malgil_core.index.reader import SUGGESTIONS
from malgil_core.lexical.index import LexicalIndex
from malgil_core.lexical.numbers import Ints
from malgil_core.suggest.chosen import Chosen, all_checked
from malgil_core.text.keyboard import FIRST_JAMO, LAST_JAMO
from malgil_core.text.keystrokes import keys, words
from malgil_core.text.layout import latin_words


@dataclass(frozen=True)
class Candidates:
    """P texts that can be suggested, each for an open service.

    Attributes:
        lexical: finds them by what is typed.
        texts: [P].
        plain: [P], the texts without spaces and case, by which two are the same.
        services: [P], index of the service in the generation.
        chosen: [P], how often people chose the service by the text, or by the beginning of it.
    """

    lexical: LexicalIndex
    texts: Sequence[str]
    plain: Sequence[str]
    services: Ints
    chosen: Ints


def plain(text: str) -> str:
    """A text without spaces, case and punctuation."""
    return "".join(words(text))


def null_texts(generation: Generation) -> frozenset[str]:
    """The null phrases of a generation, without spaces, case and punctuation."""
    return frozenset(plain(phrase.decode()) for phrase in generation.null.phrases) if generation.null else frozenset()


def of_generation(generation: Generation) -> tuple[Candidates, Candidates]:
    """The phrases of a generation's open services, and the texts that people typed.

    What people typed is suggested as they wrote it only where the catalog has nothing that it begins. So a choice for a
    text counts

    - for the name of the service if the text begins it, else for the shortest phrase that it begins: 카드값 for 카드값
      언제 나가;
    - for the service's name where the text is half typed, or may be Korean typed with the Latin layout: it has single
      jamo, or words in Latin letters that no phrase has;
    - else for the text itself.

    Texts of services that are closed or gone count for nothing, and neither do null phrases.

    Args:
        generation: with its lexical index, from `reader.load_texts`.

    Raises:
        GenerationError: it was loaded without its lexical index, or a line of what people chose is out of its bounds.
    """
    if generation.lexical is None:
        raise GenerationError("suggestions need the lexical index")
    phrases = [text.decode() for text in generation.phrases_padded[:-1]]
    services = generation.service_of_row.astype(np.int64)
    counts, typed = _counted(generation, generation.lexical.keys, services)
    own = [text for text, _ in typed]
    return (
        Candidates(generation.lexical, phrases, list(map(plain, phrases)), services, counts),
        Candidates(
            LexicalIndex.of(own, np.ones(len(own), bool), generation.lexical.weights),
            own,
            list(map(plain, own)),
            np.array([service for _, service in typed], dtype=np.int64),
            np.array(list(typed.values()), dtype=np.int64),
        ),
    )


def _counted(
    generation: Generation, phrase_keys: Sequence[str], services: Ints
) -> tuple[Ints, Counter[tuple[str, int]]]:
    """How often each phrase counts as chosen, [P], and each further text for a service."""
    counts: Ints = np.zeros(len(phrase_keys), dtype=np.int64)
    typed: Counter[tuple[str, int]] = Counter()
    place_of = {id: place for place, id in enumerate(generation.ids_padded[:-1].tolist())}
    service_of_row = services.tolist()
    null = null_texts(generation)
    for one in _checked(generation):
        service = place_of.get(one.id)
        if service is None or plain(one.text) in null:
            continue
        first, end = bisect_left(service_of_row, service), bisect_left(service_of_row, service + 1)
        typed_keys = "".join(map(keys, words(one.text)))
        begun = [row for row in range(first, end) if phrase_keys[row].startswith(typed_keys)]
        if begun:
            counts[first if begun[0] == first else min(begun, key=lambda row: len(phrase_keys[row]))] += one.chosen
        elif _is_unfinished(one.text) or not generation.latin_words.issuperset(latin_words([one.text])):
            counts[first] += one.chosen
        else:
            typed[one.text, service] += one.chosen
    return counts, typed


def _checked(generation: Generation) -> list[Chosen]:
    try:
        return all_checked(generation.chosen)
    except CatalogError as error:
        raise GenerationError(f"{SUGGESTIONS}:{error.problems[0]}") from None


def _is_unfinished(text: str) -> bool:
    """Whether a text has a single jamo: half a syllable, or an initial."""
    return any(FIRST_JAMO <= letter <= LAST_JAMO for letter in text)
