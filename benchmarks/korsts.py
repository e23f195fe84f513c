"""`python -m benchmarks korsts`: sentence similarity on KorSTS, through the live `embed` ensemble."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click
import malgil
import numpy as np

from benchmarks.options import CONSOLE, FOLDER
from benchmarks.serving import serving
from export.encoder.korsts import correlation, read
from export.progress import bar

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


@click.command(short_help="Sentence similarity on KorSTS, through the live embed ensemble.")
@click.option("--data", type=FOLDER, required=True, help="The folder with korsts/sts-test.tsv; without it: skipped.")
@click.option("--url", help="gRPC HOST:PORT of a running server. Default: start one.")
def korsts(data: Path, url: str | None) -> None:
    """Measure 100 × Spearman of cosines and scores on KorSTS, each sentence embedded by a live server."""
    path = data / "korsts" / "sts-test.tsv"
    path = path if path.exists() else data / "sts-test.tsv"
    if not path.exists():
        CONSOLE.print(f"skipped: there is no korsts/sts-test.tsv in {data}")
        return
    with serving(url) as found, bar("embedding", CONSOLE) as advance:
        figure, pairs = measure(path, found, advance)
    CONSOLE.print(f"KorSTS test, {pairs} pairs: Spearman × 100 = {figure:.2f}")
