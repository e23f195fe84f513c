"""Embedding a catalog's texts: in this process, or through the running server."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from pathlib import Path
from typing import Final, Literal

import malgil
import numpy as np
from malgil_core.index.writer import Embed, Vectors
from malgil_core.ranking.topk import unit
from malgil_core.text.tokenization import Tokenization

from export.encoder import runner
from export.errors import ExportError
from export.progress import Advance

# A query is compared with phrases, so they take its prompt, too; but Latin words in them are meant as they are written.
KIND: Final = "phrase"
Kind = Literal["query", "passage", "phrase"]
BATCH = 64  # the encoder's max_batch_size
COMPARED = 8  # texts embedded on both sides
# Lowest mean cosine between one encoder's vectors in two runtimes. int8 rounds differently in each version of
# onnxruntime, yet no text came below 0.998 (1.19, 1.27 and 1.32); with a changed prompt the mean was 0.993 or less.
SAME = 0.997


class OtherEncoderError(ExportError):
    """The running server and the exported files hold different encoders."""


def offline(
    repository: Path,
    advance: Advance = lambda done, total: None,
    kind: Kind = KIND,
    latin_words: Container[str] = frozenset(),
) -> Embed:
    """Embed in this process with the exported files, texts of one kind.

    Args:
        repository: the model repository with the encoder.
        advance: called as texts are embedded.
        kind: of the texts; "query" corrects the keyboard layout, as a search does.
        latin_words: words of the catalog that no such correction changes.

    Raises:
        FileNotFoundError: the encoder was not exported yet.
    """
    tokenization = Tokenization.load(repository / "tokenizer" / "1", latin_words)
    run = runner.load(repository / "encoder" / "1" / "model.onnx")

    def embed(batch: Sequence[str]) -> Vectors:
        return run(tokenization.encode(batch, [kind] * len(batch)))

    return _in_batches(embed, advance)


def online(
    client: malgil.SearchClient,
    url: str,
    repository: Path,
    advance: Advance = lambda done, total: None,
    kind: Kind = KIND,
) -> Embed:
    """Embed through the `embed` ensemble of a running server.

    Args:
        client: of the server.
        url: its address, for messages.
        repository: the model repository with the encoder that it should have.
        advance: called as texts are embedded.
        kind: of the texts.

    Raises, when called:
        malgil.MalgilError: the server does not answer, or refuses a text.
        OtherEncoderError: the server was started before the encoder in `repository` was exported.
    """

    compared = False

    def embed(texts: Sequence[str]) -> Vectors:
        nonlocal compared
        if not compared:
            compare(texts[:COMPARED])
            compared = True
        return _in_batches(lambda batch: client.embed(list(batch), kind=kind), advance)(texts)

    def compare(texts: Sequence[str]) -> None:
        # Vectors are kept under the fingerprint of the files; another encoder's would be compared with its queries.
        by_server = client.embed(list(texts), kind=kind)
        by_files = offline(repository, kind=kind)(texts)
        if by_server.shape != by_files.shape or np.sum(unit(by_server) * unit(by_files), axis=1).mean() < SAME:
            raise OtherEncoderError(
                f"{url} embeds with another encoder than the one exported into {repository}: restart it first"
            )

    return embed


def completed(known: Callable[[str], Vectors | None], embed: Embed) -> Embed:
    """Embed only texts without a known vector.

    Args:
        known: text → its vector by the same encoder, or None.
        embed: embeds the others.
    """

    def embed_all(texts: Sequence[str]) -> Vectors:
        found = {text: vector for text in texts if (vector := known(text)) is not None}
        if new := [text for text in texts if text not in found]:
            found.update(zip(new, embed(new), strict=True))
        return np.stack([found[text] for text in texts])

    return embed_all


def _in_batches(embed: Embed, advance: Advance) -> Embed:
    def embed_all(texts: Sequence[str]) -> Vectors:
        parts = []
        for start in range(0, len(texts), BATCH):
            parts.append(embed(texts[start : start + BATCH]))
            advance(min(start + BATCH, len(texts)), len(texts))
        return np.concatenate(parts)

    return embed_all
