"""Embedding a catalogue's texts: through the running server, or offline through onnxruntime. Same vectors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from malgil_core.index.writer import Embed, Vectors
from malgil_core.text.tokenization import Tokenization

from export.encoder import parity

# Phrases are queries of their own (Query → Query′), so they take the query prompt; passage prompts are for documents.
KIND: Final = "query"
BATCH = 64  # the encoder's max_batch_size

SAME = 1e-2  # between one encoder's vectors on two machines, of any precision; two encoders are farther apart

Advance = Callable[[int, int], None]  # called with (texts done, texts in all)


class OtherEncoderError(Exception):
    """The running server and the exported files hold different encoders."""


def offline(repository: Path, advance: Advance = lambda done, total: None) -> Embed:
    """Embed in this process with the exported files.

    Raises:
        FileNotFoundError: the encoder was not exported yet.
    """
    tokenization = Tokenization.load(repository / "tokenizer" / "1")
    run = parity.onnx_runner(str(repository / "encoder" / "1" / "model.onnx"))

    def embed(batch: Sequence[str]) -> Vectors:
        return run(tokenization.encode(batch, [KIND] * len(batch)))

    return _in_batches(embed, advance)


def online(url: str, repository: Path, advance: Advance = lambda done, total: None) -> Embed:
    """Embed through the `embed` ensemble of a running server, "HOST:PORT" of its gRPC.

    Raises, when called:
        malgil.MalgilError: the server does not answer, or refuses a text.
        OtherEncoderError: the server was started before the encoder in `repository` was exported.
    """
    import malgil

    client = malgil.SearchClient(url, timeout=60)

    def embed(texts: Sequence[str]) -> Vectors:
        # Vectors are kept under the fingerprint of the files; made by another encoder, they would serve wrongly.
        server, files = client.embed(texts[0], kind=KIND), offline(repository)(texts[:1])[0]
        if server.shape != files.shape or np.abs(server - files).max() > SAME:
            raise OtherEncoderError(
                f"{url} embeds with another encoder than the one exported into {repository}: restart it first"
            )
        return _in_batches(lambda batch: client.embed(list(batch), kind=KIND), advance)(texts)

    return embed


def _in_batches(embed: Embed, advance: Advance) -> Embed:
    def whole(texts: Sequence[str]) -> Vectors:
        parts = []
        for start in range(0, len(texts), BATCH):
            parts.append(embed(texts[start : start + BATCH]))
            advance(min(start + BATCH, len(texts)), len(texts))
        return np.concatenate(parts)

    return whole
