"""Index generations of made-up phrases with random vectors, of any size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from malgil_core.catalog.reading import Service
from malgil_core.encoder import EncoderMetadata
from malgil_core.index import reader, writer
from malgil_core.ranking.cpu import CpuScorer

from benchmarks.scoring import PHRASES_PER_SERVICE, seconds


def ready_seconds(folder: Path) -> float:
    """Seconds that a generation takes from disk to ready to score, checksums and lexical index included."""
    return seconds(lambda: CpuScorer(reader.load(folder)))


def load_seconds(phrases: int, dimension: int, folder: Path) -> float:
    """The same for a generation of that size, published into an empty folder."""
    encoder = EncoderMetadata("random", "", "", "", "", dimension, 1, "", True, {}, {}, "random")
    return ready_seconds(reader.folder_of(folder, publish(phrases, encoder, folder)))


def publish(phrases: int, encoder: EncoderMetadata, index: Path) -> int:
    """Publish a catalog of so many made-up phrases, with random vectors; the generation's number.

    `encoder`: metadata, whose dimension is that of the vectors.
    """
    rng = np.random.default_rng(0)
    services = [
        Service(
            i, None, f"s{i}", f"서비스 {i}", f"서비스 {i}", True,
            tuple(f"{i}의 {j}번째 문장" for j in range(PHRASES_PER_SERVICE - 1)), "", (), None,
        )
        for i in range(phrases // PHRASES_PER_SERVICE)
    ]  # fmt: skip
    shape = encoder.dimension
    return writer.publish(
        services, index, encoder, lambda texts: rng.standard_normal((len(texts), shape), dtype=np.float32)
    )
