"""What the loop is told."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from feedback.errors import FeedbackError

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,27}")


@dataclass(frozen=True)
class Settings:
    """What the command line says.

    Attributes:
        root: folder of the steps.
        events: folder of the segments.
        index, repository: what serves now; neither is written.
        base: the encoder to train: a sentence-transformers directory, or `bundled`.
        recipe: of the training; None trains by `train` alone.
        queries: files of labelled queries, which the evaluation adds to those held out of the log.
        pairs, train: further words for `feedback pairs` and `training encoder`.
        least_pairs: with fewer, nothing is trained.
        even_if_worse: whether an encoder that finds less than the base becomes a variant.
        name: of the experiment.
        share: of people who get the variant.
    """

    root: Path
    events: Path
    index: Path
    repository: Path
    base: str
    recipe: str | None = "search"
    queries: tuple[Path, ...] = ()
    pairs: tuple[str, ...] = ()
    train: tuple[str, ...] = ()
    least_pairs: int = 50
    even_if_worse: bool = False
    name: str = "loop"
    share: float = 0.1

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise FeedbackError(f"--name is {self.name[:60]!r}: it must be 1 to 27 of the characters A-Z a-z 0-9 _ . -")
