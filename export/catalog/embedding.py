"""Embedding a catalog's texts: in this process, or through the running server. Same encoder, same vectors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import malgil
import numpy as np
from malgil_core.index.writer import Embed, Vectors
from malgil_core.text.tokenization import Tokenization

from export.encoder import runner
from export.errors import ExportError
from export.progress import Advance

# A query is compared with phrases, so they take its prompt, too; but Latin words in them are meant as they are written.
KIND: Final = "phrase"
BATCH = 64  # the encoder's max_batch_size
# Between one encoder's vectors on two machines, of any precision; those of two encoders are farther apart.
TOLERANCE = 1e-2


class OtherEncoderError(ExportError):
    """The running server and the exported files hold different encoders."""


def offline(repository: Path, advance: Advance = lambda done, total: None) -> Embed:
    """Embed in this process with the exported files.

    Raises:
        FileNotFoundError: the encoder was not exported yet.
    """
    tokenization = Tokenization.load(repository / "tokenizer" / "1")
    run = runner.load(repository / "encoder" / "1" / "model.onnx")

    def embed(batch: Sequence[str]) -> Vectors:
        return run(tokenization.encode(batch, [KIND] * len(batch)))

    return _in_batches(embed, advance)


def online(url: str, repository: Path, advance: Advance = lambda done, total: None) -> Embed:
    """Embed through the `embed` ensemble of a running server, "HOST:PORT" of its gRPC.

    Raises, when called:
        malgil.MalgilError: the server does not answer, or refuses a text.
        OtherEncoderError: the server was started before the encoder in `repository` was exported.
    """
    client = malgil.SearchClient(url, timeout=60)

    def embed(texts: Sequence[str]) -> Vectors:
        # Vectors are kept under the fingerprint of the files; another encoder's would be compared with its queries.
        by_server, by_files = client.embed(texts[0], kind=KIND), offline(repository)(texts[:1])[0]
        if by_server.shape != by_files.shape or np.abs(by_server - by_files).max() > TOLERANCE:
            raise OtherEncoderError(
                f"{url} embeds with another encoder than the one exported into {repository}: restart it first"
            )
        return _in_batches(lambda batch: client.embed(list(batch), kind=KIND), advance)(texts)

    return embed


def _in_batches(embed: Embed, advance: Advance) -> Embed:
    def embed_all(texts: Sequence[str]) -> Vectors:
        parts = []
        for start in range(0, len(texts), BATCH):
            parts.append(embed(texts[start : start + BATCH]))
            advance(min(start + BATCH, len(texts)), len(texts))
        return np.concatenate(parts)

    return embed_all
