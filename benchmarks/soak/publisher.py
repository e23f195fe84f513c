"""A publisher to be killed: `python -m benchmarks.soak.publisher INDEX CATALOGUE VECTORS REPOSITORY KEEP`.

It prints READY, waits for a line on its standard input, publishes, prints the generation's number as soon as `publish`
has returned, collects old generations as the command does, and prints COLLECTED. What it embeds was embedded before.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from malgil_core.catalog import reading as catalog
from malgil_core.index import history
from malgil_core.index.writer import Vectors, publish
from safetensors.numpy import load_file, save_file

READY, COLLECTED = "ready", "collected"


def save_vectors(path: Path, texts: Sequence[str], vectors: Vectors) -> None:
    """Write vectors [N, D] of texts where `main` finds them."""
    save_file({"vectors": vectors}, path)
    path.with_suffix(".json").write_text(json.dumps(texts), encoding="utf-8")


def main(index: Path, catalogue: Path, vectors: Path, repository: Path, keep: int) -> None:
    """Publish once when told to."""
    texts = json.loads(vectors.with_suffix(".json").read_text(encoding="utf-8"))
    vector_of = dict(zip(texts, load_file(vectors)["vectors"], strict=True))
    encoder = json.loads((repository / "tokenizer" / "1" / "encoder.json").read_text(encoding="utf-8"))
    services = catalog.read(catalogue)
    print(READY, flush=True)
    if not sys.stdin.readline():  # who should have said so has ended
        return
    print(publish(services, index, encoder, lambda new: np.stack([vector_of[text] for text in new])), flush=True)
    history.collect(index, keep)
    print(COLLECTED, flush=True)
    sys.stdin.read()  # until it is killed, or nobody is there to do it


if __name__ == "__main__":
    _, *paths, kept = sys.argv
    main(Path(paths[0]), Path(paths[1]), Path(paths[2]), Path(paths[3]), int(kept))
