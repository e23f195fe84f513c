"""Tokenization: text to the token ids that the exported encoder takes."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from malgil_core.text.layout import restore
from malgil_core.text.validation import KINDS

PADDING_ID = -1  # not a token of any vocabulary, so that a literal "<pad>" in a text stays a token


class Tokenization:
    """The tokenizer of an exported encoder, with its prompts and its maximum length.

    Args:
        tokenizer: its padding and truncation are replaced.
        metadata: the content of `encoder.json`; `prompts` and `max_length` are read.

    Raises:
        ValueError: a prompt is missing, or the maximum length has no room for a text.
    """

    def __init__(self, tokenizer: Tokenizer, metadata: Mapping[str, Any]) -> None:
        self._tokenizer = tokenizer
        self.prompts: dict[str, str] = _prompts(metadata)
        self.max_length: int = _max_length(metadata, 1 + tokenizer.num_special_tokens_to_add(False))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(self.max_length)

    @classmethod
    def load(cls, folder: Path) -> Tokenization:
        """Read `tokenizer.json` and `encoder.json`, both written by `python -m export encoder`.

        Raises:
            FileNotFoundError: the encoder was not exported yet; the text says what to run.
            ValueError: one of them is damaged; the text says which.
        """
        file = folder / "encoder.json"  # the one that is being read
        try:
            metadata = json.loads(file.read_text(encoding="utf-8"))
            file = folder / "tokenizer.json"
            tokenizer = Tokenizer.from_str(file.read_text(encoding="utf-8"))
            file = folder / "encoder.json"
            return cls(tokenizer, metadata)
        except FileNotFoundError as error:
            message = f"{error.filename} is missing: run `python -m export encoder` first"
            raise FileNotFoundError(message) from None
        except OSError:
            raise
        except Exception as error:  # tokenizers raises no narrower one
            raise ValueError(f"{file} is damaged: {error}; run `python -m export encoder` again") from None

    def restored(self, query: str) -> str:
        """The query in NFC, with words typed with the wrong keyboard layout turned into Korean."""
        return restore(unicodedata.normalize("NFC", query), self._pieces)

    def _pieces(self, text: str) -> int:
        return len(self._tokenizer.encode(text, add_special_tokens=False))

    def encode(self, texts: Sequence[str], kinds: Sequence[str]) -> list[npt.NDArray[np.int64]]:
        """Token ids of each text, special tokens included, at most `max_length` of them.

        Returns:
            One int64 array [length] for each text.
        """
        prompted = [
            self.prompts[kind] + (self.restored(text) if kind == "query" else unicodedata.normalize("NFC", text))
            for text, kind in zip(texts, kinds, strict=True)
        ]
        return [np.array(e.ids, dtype=np.int64) for e in self._tokenizer.encode_batch_fast(prompted)]


def _prompts(metadata: Mapping[str, Any]) -> dict[str, str]:
    prompts = metadata["prompts"]
    if not isinstance(prompts, dict) or not all(isinstance(prompts.get(kind), str) for kind in KINDS):
        raise ValueError(f"prompts must have a text for each of {', '.join(KINDS)}")
    if any("\ud800" <= letter <= "\udfff" for kind in KINDS for letter in prompts[kind]):
        raise ValueError("prompts hold half a surrogate pair")
    return prompts


def _max_length(metadata: Mapping[str, Any], smallest: int) -> int:
    length = metadata["max_length"]
    # Below, the tokenizers library does not truncate at all.
    if isinstance(length, bool) or not isinstance(length, int) or not smallest <= length < 2**31:
        raise ValueError(f"max_length is {str(length)[:40]}: it must be a whole number from {smallest} to {2**31 - 1}")
    return length


def pad(rows: Sequence[npt.NDArray[np.int64]]) -> npt.NDArray[np.int64]:
    """Rows of ids as one int64 array [rows, longest], padded at the end with -1."""
    if len(rows) == 1:
        return rows[0][np.newaxis]
    padded = np.full((len(rows), max(map(len, rows))), PADDING_ID, dtype=np.int64)
    for target, row in zip(padded, rows, strict=True):
        target[: len(row)] = row
    return padded
