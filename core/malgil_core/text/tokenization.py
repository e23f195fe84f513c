"""Text to token ids, as the exported encoder wants it. Pure: no Triton here."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from malgil_core.limits import MAX_TEXT_BYTES
from malgil_core.text.layout import restore

KINDS = ("query", "passage")
FIELD = "text (query in search)"  # errors name the field, and the ensembles call it by these names
Elements = TypeVar("Elements")
PADDING_ID = -1  # not a token of any vocabulary, so that a literal "<pad>" in a text stays a token


class Tokenization:
    """The tokenizer of one exported encoder, with its prompts and its window.

    Args:
        tokenizer: without padding or truncation of its own.
        metadata: what `encoder.json` holds; `prompts` and `max_length` are read.

    Raises:
        ValueError: a prompt is missing, or the window has no room for a text.
    """

    def __init__(self, tokenizer: Tokenizer, metadata: Mapping[str, Any]) -> None:
        self._tokenizer = tokenizer
        self.prompts: dict[str, str] = _prompts(metadata)
        self.max_length: int = _window(metadata, 1 + tokenizer.num_special_tokens_to_add(False))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(self.max_length)

    @classmethod
    def load(cls, folder: Path) -> Tokenization:
        """Read `tokenizer.json` and `encoder.json`, both written by `python -m export encoder`.

        Raises:
            FileNotFoundError: the encoder was not exported yet; the text says what to run.
            ValueError: one of them is damaged; the text says which.
        """
        at = folder / "encoder.json"
        try:
            metadata = json.loads(at.read_text(encoding="utf-8"))
            at = folder / "tokenizer.json"
            tokenizer = Tokenizer.from_str(at.read_text(encoding="utf-8"))
            at = folder / "encoder.json"
            return cls(tokenizer, metadata)
        except FileNotFoundError as error:
            message = f"{error.filename} is missing: run `python -m export encoder` first"
            raise FileNotFoundError(message) from None
        except OSError:
            raise
        except Exception as error:  # tokenizers raises no narrower one
            raise ValueError(f"{at} is damaged: {error}; run `python -m export encoder` again") from None

    def meant(self, query: str) -> str:
        """A query in NFC, what was typed with the wrong keyboard layout as the Korean that was meant."""
        return restore(unicodedata.normalize("NFC", query), self._pieces)

    def _pieces(self, text: str) -> int:
        return len(self._tokenizer.encode(text, add_special_tokens=False))

    def encode(self, texts: Sequence[str], kinds: Sequence[str]) -> list[npt.NDArray[np.int64]]:
        """Token ids of each text, special tokens included, at most `max_length` of them.

        Returns:
            One int64 array [length] for each text.
        """
        prompted = [
            self.prompts[kind] + (self.meant(text) if kind == "query" else unicodedata.normalize("NFC", text))
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


def _window(metadata: Mapping[str, Any], least: int) -> int:
    length = metadata["max_length"]
    # Below, the tokenizers library does not truncate at all.
    if isinstance(length, bool) or not isinstance(length, int) or not least <= length < 2**31:
        raise ValueError(f"max_length is {str(length)[:40]}: it must be a whole number from {least} to {2**31 - 1}")
    return length


def require(name: str, value: Elements | None) -> Elements:
    """What a required input holds.

    Triton counts a request's inputs, but does not look which they are: an optional one passes for a required one.

    Raises:
        ValueError: it is missing; the text is a sentence for the caller.
    """
    if value is None:
        raise ValueError(f"{name} is missing: a request must have it")
    return value


def check_shape(name: str, shape: Sequence[int]) -> None:
    """Whether a tensor is a batch of single elements, [B, 1].

    Triton keeps 32 bits of a batch size: one of 2**32 becomes 0, and its tensors come without a batch dimension.

    Raises:
        ValueError: it is not; the text is a sentence for the caller.
    """
    if len(shape) != 2:
        raise ValueError(f"{name} has shape {list(shape)}: it must have 2 dimensions, the batch first")


def parse_text(raw: bytes) -> str:
    """The text in one BYTES element.

    Raises:
        ValueError: blank, longer than 8 KiB, or not UTF-8; the text is a sentence for the caller.
    """
    if len(raw) > MAX_TEXT_BYTES:
        raise ValueError(f"{FIELD} is {len(raw)} bytes long: at most {MAX_TEXT_BYTES} are taken")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{FIELD} is not UTF-8: {error.reason} at byte {error.start}") from None
    if not text.strip():
        raise ValueError(f"{FIELD} is blank: {len(raw)} bytes without a visible character; send at least one")
    return text


def parse_kind(raw: bytes) -> str:
    """The kind in one BYTES element.

    Raises:
        ValueError: neither query nor passage; the text is a sentence for the caller.
    """
    kind = raw[:32].decode("utf-8", "replace")
    if kind not in KINDS:
        raise ValueError(f"kind is {kind!r}: it must be one of {', '.join(KINDS)}")
    return kind


def pad(rows: Sequence[npt.NDArray[np.int64]]) -> npt.NDArray[np.int64]:
    """Rows of ids as one int64 array [rows, longest], padded at the end with -1."""
    if len(rows) == 1:
        return rows[0][np.newaxis]
    padded = np.full((len(rows), max(map(len, rows))), PADDING_ID, dtype=np.int64)
    for target, row in zip(padded, rows, strict=True):
        target[: len(row)] = row
    return padded
