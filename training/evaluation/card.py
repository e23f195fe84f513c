"""What the card of a trained encoder says about its training."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Trained:
    """What an encoder was trained on.

    Attributes:
        pairs: pairs and triplets; None where no card says.
        negatives: share of them with a negative mined by BM25; None where no card says.
    """

    pairs: int | None = None
    negatives: float | None = None


def read(directory: Path) -> Trained:
    """Read the card that `python -m training encoder` writes."""
    return Trained()
