"""The catalog that serves, with the vectors of its phrases, and queries embedded beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from malgil_core.catalog.reading import Catalog, NullTopic, Service
from malgil_core.catalog.validation import validate
from malgil_core.encoder import EncoderMetadata
from malgil_core.index import history, reader
from malgil_core.index.generation import Generation
from malgil_core.index.writer import Embed, Vectors
from malgil_core.ranking.topk import unit
from malgil_core.text.layout import latin_words
from malgil_core.text.tokenization import Tokenization


@dataclass(frozen=True)
class Serving:
    """The generation that serves.

    Attributes:
        generation: its open services' phrases and vectors, and the null phrases.
        catalog: its catalog, closed services too.
        latin_words: its words in Latin letters, which are not taken for Korean typed with the wrong layout.
        tokenization: of the encoder that made it.
    """

    generation: Generation
    catalog: Catalog
    latin_words: frozenset[str]
    tokenization: Tokenization

    @classmethod
    def of(cls, index: Path, repository: Path) -> Serving:
        """The generation that an index serves, made by the exported encoder.

        Raises:
            HistoryError: nothing is published.
            GenerationError: it is damaged, or was made by another encoder.
            FileNotFoundError: there is no encoder.
        """
        number = history.resolve(index, None)
        fingerprint = EncoderMetadata.of(repository).fingerprint
        generation = reader.load(reader.folder_of(index, number), fingerprint, with_lexical=False)
        entries = [validate(line) for line in history.catalog(index, number)]
        catalog = Catalog(
            [one for one in entries if isinstance(one, Service)], [one for one in entries if isinstance(one, NullTopic)]
        )
        words = frozenset(latin_words(phrase.decode() for phrase in generation.phrases_padded[:-1]))
        return cls(generation, catalog, words, Tokenization.load(repository / "tokenizer" / "1", words))

    @cached_property
    def _rows(self) -> dict[int, slice]:
        """Id of an open service → its rows of the matrix."""
        ids = self.generation.ids_padded[:-1].tolist()
        ends = np.searchsorted(self.generation.service_of_row, np.arange(len(ids) + 1))
        return {id: slice(int(ends[at]), int(ends[at + 1])) for at, id in enumerate(ids)}

    @cached_property
    def services(self) -> dict[int, Service]:
        """Id → open service."""
        return {one.id: one for one in self.catalog.services if one.open}

    def nearest_phrase(self, id: int, vector: Any) -> tuple[str, float]:
        """The phrase of an open service that is nearest to a unit vector, and its cosine."""
        rows = self._rows[id]
        cosines = self.generation.matrix[rows] @ vector
        at = int(cosines.argmax())
        return self.generation.phrases_padded[rows.start + at].decode(), float(cosines[at])

    def best_service(self, vector: Any) -> float:
        """The highest cosine of a unit vector with a phrase of an open service."""
        return float((self.generation.matrix @ vector).max())

    def best_topic(self, vector: Any) -> tuple[str, float] | None:
        """The null topic with the phrase nearest to a unit vector, and its cosine; None without null topics."""
        null = self.generation.null
        if null is None:
            return None
        cosines = null.matrix @ vector
        at = int(cosines.argmax())
        return null.topics[int(null.topic_of_row[at])].decode(), float(cosines[at])

    def known(self, text: str) -> Vectors | None:
        """The vector of a phrase that the generation holds; None of any other text."""
        return self._vectors.get(text)

    @cached_property
    def _vectors(self) -> dict[str, Any]:
        generation = self.generation
        phrases = [phrase.decode() for phrase in generation.phrases_padded[:-1]]
        found = dict(zip(phrases, generation.matrix, strict=True))
        if generation.null:
            null = generation.null
            found |= zip([phrase.decode() for phrase in null.phrases], null.matrix, strict=True)
        return found


def vectors(embed: Embed, texts: Sequence[str]) -> Vectors:
    """Unit vectors [texts, D]."""
    if not texts:
        return np.zeros((0, 0), np.float32)
    return unit(np.asarray(embed(texts), np.float32))
