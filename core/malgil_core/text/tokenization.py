"""Tokenization: text to the token ids that the exported encoder takes."""

from __future__ import annotations

from collections.abc import Container, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from malgil_core.encoder import EncoderMetadata
from malgil_core.text.jamo import composed
from malgil_core.text.layout import restore
from malgil_core.text.validation import PROMPT_OF

PADDING_ID = -1  # not a token of any vocabulary, so that a literal "<pad>" in a text stays a token


class Tokenization:
    """The tokenizer of an exported encoder, with its prompts and its maximum length.

    Args:
        tokenizer: its padding is dropped, and its truncation keeps the side alone.
        metadata: of the encoder; `prompts` and `max_length` are read.
        latin_words: words in lower case that are never taken for Korean typed with the wrong layout.

    Raises:
        ValueError: the maximum length has no room for a text.
    """

    def __init__(
        self, tokenizer: Tokenizer, metadata: EncoderMetadata, latin_words: Container[str] = frozenset()
    ) -> None:
        # Below, the tokenizers library does not truncate at all.
        smallest = 1 + tokenizer.num_special_tokens_to_add(False)
        if metadata.max_length < smallest:
            raise ValueError(f"max_length is {metadata.max_length}: it must be at least {smallest}")
        self._tokenizer, self._latin_words = tokenizer, latin_words
        self.prompts = metadata.prompts
        self.max_length = metadata.max_length
        self._tokenizer.no_padding()
        side = (tokenizer.truncation or {}).get("direction", "right")
        self._tokenizer.enable_truncation(self.max_length, direction=side)

    @classmethod
    def load(cls, folder: Path, latin_words: Container[str] = frozenset()) -> Tokenization:
        """Read `tokenizer.json` and `encoder.json`, both written by `python -m export encoder`.

        Raises:
            FileNotFoundError: the encoder was not exported yet; the text says what to run.
            ValueError: one of them is damaged; the text says which.
        """
        metadata = EncoderMetadata.read(folder / "encoder.json")
        file = folder / "tokenizer.json"
        try:
            tokenizer = Tokenizer.from_str(file.read_text(encoding="utf-8"))
            file = folder / "encoder.json"  # the one to blame from here on
            return cls(tokenizer, metadata, latin_words)
        except FileNotFoundError:
            raise FileNotFoundError(f"{file} is missing: run `python -m export encoder` first") from None
        except OSError:
            raise
        except Exception as error:  # tokenizers raises no narrower one
            raise ValueError(f"{file} is damaged: {error}; run `python -m export encoder` again") from None

    def restored(self, query: str) -> str:
        """The query in one Unicode form, with words typed with the wrong keyboard layout turned into Korean."""
        return restore(composed(query), self._pieces, self._latin_words)

    def count(self, phrase: str) -> int:
        """The tokens of a phrase with its prompt, special tokens included; beyond `max_length` it is cut."""
        encoding = self._tokenizer.encode(self.prompts[PROMPT_OF["phrase"]] + composed(phrase))
        special = self._tokenizer.num_special_tokens_to_add(False)
        return len(encoding.ids) + sum(len(rest.ids) - special for rest in encoding.overflowing)

    def _pieces(self, text: str) -> int:
        return len(self._tokenizer.encode(text, add_special_tokens=False))

    def encode(self, texts: Sequence[str], kinds: Sequence[str]) -> list[npt.NDArray[np.int64]]:
        """Token ids of each text, special tokens included, at most `max_length` of them.

        Returns:
            One int64 array [length] for each text.
        """
        prompted = [
            self.prompts[PROMPT_OF[kind]] + (self.restored(text) if kind == "query" else composed(text))
            for text, kind in zip(texts, kinds, strict=True)
        ]
        return [np.array(e.ids, dtype=np.int64) for e in self._tokenizer.encode_batch_fast(prompted)]


def pad(rows: Sequence[npt.NDArray[np.int64]]) -> npt.NDArray[np.int64]:
    """Rows of ids as one int64 array [rows, longest], padded at the end with -1."""
    if len(rows) == 1:
        return rows[0][np.newaxis]
    padded = np.full((len(rows), max(map(len, rows))), PADDING_ID, dtype=np.int64)
    for target, row in zip(padded, rows, strict=True):
        target[: len(row)] = row
    return padded
