"""Korean texts of exactly so many tokens, made from the words of the sample catalogue."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from malgil_core.text.tokenization import Tokenization
from tokenizers import Tokenizer

from benchmarks.sweep_plan import SweepError

Ids = npt.NDArray[np.int64]
TEXTS = 64  # of each length: as many as a batch holds
TRIES = 100  # for each text


class LengthError(SweepError):
    """There is no text of that many tokens; the text says why."""


def of_length(folder: Path, words: Sequence[str], length: int, count: int = TEXTS) -> list[tuple[str, Ids]]:
    """Different texts with their token ids, always the same ones.

    Args:
        folder: holds tokenizer.json and encoder.json.
        words: to choose from.
        length: tokens, the prompt and special tokens included.
        count: how many texts.

    Raises:
        LengthError: the words do not make so many texts of that length, or the encoder's window is shorter.
    """
    metadata = json.loads((folder / "encoder.json").read_text(encoding="utf-8"))
    if length > metadata["max_length"]:
        raise LengthError(f"length {length}: the window of {metadata['name']} is {metadata['max_length']} tokens")
    endless = {
        **metadata,
        "max_length": 10**6,
    }  # cut to its window, a text that is too long would pass for one that fits
    tokenization = Tokenization(Tokenizer.from_file(str(folder / "tokenizer.json")), endless)

    def encode(texts: Sequence[str]) -> list[Ids]:
        return tokenization.encode(texts, ["query"] * len(texts))

    ordered = sorted(set(words))
    alone = [len(ids) for ids in encode(ordered)]
    around = 2 * alone[0] - len(encode([f"{ordered[0]} {ordered[0]}"])[0])
    sizes = {word: size - around for word, size in zip(ordered, alone, strict=True) if around < size <= length}
    found: dict[str, Ids] = {}
    rng = random.Random(length)
    for _ in range(TRIES * count):
        text = _join(rng, sizes, length - around)
        # Sizes add up for the tokenizers that split at spaces; for any other, this finds the texts that fit.
        if text is not None and text not in found and len(ids := encode([text])[0]) == length:
            found[text] = ids
            if len(found) == count:
                return list(found.items())
    raise LengthError(f"length {length}: the words make {len(found)} texts of so many tokens, not {count}")


def _join(rng: random.Random, sizes: dict[str, int], room: int) -> str | None:
    """Words that fill the room, or None where the last of it fits none."""
    chosen = []
    fitting = list(sizes)
    while room > 0:
        fitting = [word for word in fitting if sizes[word] <= room]
        if not fitting:
            return None
        chosen.append(rng.choice(fitting))
        room -= sizes[chosen[-1]]
    return " ".join(chosen)
