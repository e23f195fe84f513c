"""`python -m benchmarks korsts`: sentence similarity on KorSTS, through the live `embed` ensemble."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import malgil
import numpy as np

from export.encoder.korsts import correlation, read

CHUNK = 256


def measure(path: Path, url: str, advance: Callable[[int, int], None]) -> tuple[float, int]:
    """Embed a KorSTS file at `url`; the figure and the number of pairs."""
    first, second, scores = read(path)
    texts = first + second
    parts = []
    with malgil.SearchClient(url, timeout=60) as client:
        for start in range(0, len(texts), CHUNK):
            parts.append(client.embed(texts[start : start + CHUNK], kind="query"))
            advance(min(start + CHUNK, len(texts)), len(texts))
    vectors = np.concatenate(parts)
    return correlation(vectors[: len(first)], vectors[len(first) :], scores), len(first)
