"""Building a draft: a catalog and the files beside it as a generation in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from malgil_core.catalog.reading import Catalog
from malgil_core.encoder import EncoderMetadata
from malgil_core.index.building import Built, Rows, Vectors, known_vectors
from malgil_core.text.tokenization import Tokenization

from console.draft.drafted import Drafted
from console.draft.vectors import Embedder
from export.catalog import settings

Advance = Callable[[int, int], None]


class Builder:
    """Builds drafts as a publish builds a generation; only texts without a known vector are embedded.

    Args:
        embedder: of new texts.
        index: the index folder, whose vectors are reused.
        repository: the model repository, with the tokenizer of the server's encoder.
        null_files: files of null topics that a publish adds; the caller adds them to the catalog.
        settings_file: weights, thresholds and limits that a publish takes.
    """

    def __init__(
        self, embedder: Embedder, index: Path, repository: Path, null_files: Sequence[Path], settings_file: Path | None
    ) -> None:
        self._embedder, self._index, self._repository = embedder, index, repository
        self._null_files, self._settings_file = tuple(null_files), settings_file

    def files(self) -> object:
        """What tells whether a file that a draft is built from has changed.

        Raises:
            OSError: one is not there.
        """
        encoder = self._repository / "tokenizer" / "1" / "encoder.json"
        files = [encoder, *self._null_files, *([self._settings_file] if self._settings_file else [])]
        return [(file.stat().st_mtime_ns, file.stat().st_size) for file in files]

    def build(
        self, catalog: Catalog, revision: int, before: Drafted | None, advance: Advance
    ) -> tuple[Drafted, Tokenization]:
        """The draft of a catalog, and the tokenization of queries for it.

        Args:
            catalog: null topics of files included.
            revision: of the store.
            before: the draft so far, whose vectors are reused.
            advance: called with how many of the new texts are embedded, and how many there are.

        Raises:
            Exception: one of problems.FAILURES.
        """
        encoder = EncoderMetadata.of(self._repository)
        self._embedder.use(encoder.fingerprint)
        found = settings.read(self._settings_file, encoder.fingerprint) if self._settings_file else None
        choices = found.choices(catalog.services)[0] if found else settings.Choices()
        rows = Rows(catalog.services, catalog.null_topics)
        vectors = self._vectors(rows.texts, encoder, before, advance)
        built = Built.of(rows, vectors, encoder, 0, choices.default_threshold, choices.null.limits, choices.calibrated)
        latin_words = frozenset(built.manifest["latin_words"])
        tokenization = Tokenization.load(self._repository / "tokenizer" / "1", latin_words)
        return Drafted(catalog, built, revision), tokenization

    def _vectors(
        self, texts: Sequence[str], encoder: EncoderMetadata, before: Drafted | None, advance: Advance
    ) -> Vectors:
        """Vectors of a catalog's texts: of the draft before, of the generation that serves, or embedded."""
        known: dict[str, Vectors] = {}
        if before and before.built.manifest["encoder"]["fingerprint"] == encoder.fingerprint:
            known = {text: before.built.vectors[row] for text, row in before.row_of.items()}
        if any(text not in known for text in texts):
            known = {**known_vectors(self._index, encoder.fingerprint), **known}
        self._embedder.catalog(texts, known, advance)
        return np.stack([known[text] for text in texts])
