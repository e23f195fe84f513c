"""An encoder under evaluation: a sentence-transformers directory that embeds queries, phrases and passages."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from malgil_core.ranking.types import Floats
from malgil_core.text.jamo import composed
from malgil_core.text.layout import restore
from malgil_core.text.validation import PROMPT_OF

from export import ROOT
from export.progress import Advance
from training.errors import TrainingError

BUNDLED = "bundled"
BATCH = 32
CHUNK = 128  # texts of one cache file, of similar length: what an interrupted run loses


class Encoder:
    """An encoder in PyTorch, in float32, with the prompts, window and pooling that it would be served with.

    Args:
        directory: sentence-transformers or plain Hugging Face.
        name: for tables.
        cache: folder of embeddings kept between runs, by the encoder's fingerprint; None keeps none.
        latin_words: words, in lower case, that are never taken for Korean typed with the wrong layout: the catalog's.
        device: `cpu`, `cuda`, …
    """

    def __init__(
        self,
        directory: Path,
        name: str,
        cache: Path | None = None,
        latin_words: Iterable[str] = (),
        device: str = "cpu",
    ) -> None:
        from export.encoder.source import UnsupportedEncoderError, fingerprint, load

        try:
            source = load(str(directory))
        except (UnsupportedEncoderError, OSError) as error:
            raise TrainingError(f"{directory} is no encoder that can be evaluated: {error}") from None
        self.directory, self.name = directory, name
        self.dimension, self.max_length = source.dimension, source.max_length
        self.fingerprint = fingerprint(directory, source)
        self._model: Any = source.reference.to(device)
        self._prompts, self._cache = source.prompts, cache
        self._latin_words = frozenset(latin_words)

    def embed(self, texts: Sequence[str], kind: str, advance: Advance = lambda done, total: None) -> Floats:
        """Unit vectors of texts, float32 [N, D].

        Args:
            texts: not prompted.
            kind: `query`, `phrase` or `passage`, as in serving: the layout of a query is corrected.
            advance: called as texts are embedded.
        """
        read = [composed(text) for text in texts]
        if kind == "query":
            read = [restore(text, self._pieces, self._latin_words) for text in read]
        distinct = sorted(set(read), key=lambda text: (len(text), text))
        vectors = np.empty((len(distinct), self.dimension), dtype=np.float32)
        for start in range(0, len(distinct), CHUNK):
            chunk = distinct[start : start + CHUNK]
            vectors[start : start + CHUNK] = self._chunk(chunk, self._prompts[PROMPT_OF[kind]])
            advance(start + len(chunk), len(distinct))
        row_of = {text: row for row, text in enumerate(distinct)}
        return vectors[[row_of[text] for text in read]]

    def _chunk(self, texts: Sequence[str], prompt: str) -> Floats:
        if self._cache is None:
            return self._run(texts, prompt)
        folder = self._cache / self.fingerprint[:32]
        key = hashlib.sha256("\0".join((prompt, *texts)).encode()).hexdigest()
        file = folder / f"{key[:32]}.npy"
        if file.exists():
            try:
                kept: Floats = np.load(file, allow_pickle=False)
            except (ValueError, EOFError):
                kept = np.empty(0, dtype=np.float32)
            if kept.shape == (len(texts), self.dimension):
                return kept
        vectors = self._run(texts, prompt)
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = file.with_name(f".{file.name}.{os.getpid()}")
        with unfinished.open("wb") as stream:
            np.save(stream, vectors, allow_pickle=False)
        unfinished.replace(file)
        return vectors

    def _run(self, texts: Sequence[str], prompt: str) -> Floats:
        vectors: Floats = self._model.encode(
            list(texts), prompt=prompt, batch_size=BATCH, normalize_embeddings=True, convert_to_numpy=True,
            show_progress_bar=False,
        )  # fmt: skip
        return vectors

    def _pieces(self, text: str) -> int:
        return len(self._model.tokenizer.encode(text, add_special_tokens=False))


def directories(names: Sequence[str]) -> dict[str, Path]:
    """The directory of each encoder by its name in tables: `bundled`, or the name of its folder.

    Raises:
        TrainingError: one is not there, or two would have one name.
    """
    found: dict[str, Path] = {}
    for given in names:
        path = _unpacked() if given == BUNDLED else Path(given)
        if not path.is_dir():
            raise TrainingError(f"{given} is not a folder: name sentence-transformers directories, or `{BUNDLED}`")
        name = given if given == BUNDLED else path.resolve().name
        if name in found:
            raise TrainingError(f"{given}: another of the encoders is called {name}, too; rename one folder")
        found[name] = path
    return found


def _unpacked() -> Path:
    from export.encoder.bundled import DEFAULT_TARGET, BundledError, unpack

    try:
        return unpack(ROOT / DEFAULT_TARGET)
    except BundledError as error:
        raise TrainingError(str(error)) from None
