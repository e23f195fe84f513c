"""Validation of the texts in a request, for tokenizer and scorer alike, and how a refused value is shown.

The text of every ValueError is a sentence for the caller: the field, the value, the bound.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from malgil_core.limits import MAX_TEXT_BYTES

# Kind of text → the encoder's prompt in front of it. A phrase of a catalog takes that of the queries that are compared
# with it, but its keyboard layout is never corrected.
PROMPT_OF = {"query": "query", "passage": "passage", "phrase": "query"}
TEXT_FIELD = "text (query in search)"  # the tokenizer's input, by the names that embed and search give it
# Without a glyph, though Unicode calls them letters, symbols or marks: Hangul fillers, the blank of Braille, joiners.
_INVISIBLE = set("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
_INVISIBLE_CATEGORIES = ("Cc", "Cf", "Zl", "Zp", "Zs")
Tensor = TypeVar("Tensor")


def require(field: str, value: Tensor | None) -> Tensor:
    """The value of a required input.

    Triton counts a request's inputs without looking at their names: an optional one passes for a required one.

    Raises:
        ValueError: it is missing.
    """
    if value is None:
        raise ValueError(f"{field} is missing: a request must have it")
    return value


def check_shape(field: str, shape: Sequence[int]) -> None:
    """Check that a tensor is a batch of single elements, [B, 1].

    Triton keeps 32 bits of a batch size: one of 2**32 becomes 0, and its tensors come without a batch dimension.

    Raises:
        ValueError: it is not.
    """
    if len(shape) != 2:
        raise ValueError(f"{field} has shape {list(shape)}: it must have 2 dimensions, the batch first")


def parse_texts(field: str, elements: Iterable[bytes] | None) -> list[str]:
    """The texts in a required BYTES tensor.

    Raises:
        ValueError: the tensor is missing, or one of its texts is refused by `parse_text`.
    """
    return [parse_text(field, raw) for raw in require(field, elements)]


def parse_text(field: str, raw: bytes) -> str:
    """The text in one BYTES element.

    Raises:
        ValueError: it is blank, longer than 8 KiB, or not UTF-8.
    """
    if len(raw) > MAX_TEXT_BYTES:
        raise ValueError(f"{field} is {len(raw)} bytes long: at most {MAX_TEXT_BYTES} are taken")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{field} is not UTF-8: {error.reason} at byte {error.start}") from None
    if is_blank(text):
        raise ValueError(f"{field} is blank: {len(raw)} bytes without a visible character; send at least one")
    return text


def is_blank(text: str) -> bool:
    """Whether a text shows nothing: it is empty, or of spaces, fillers, and control and format characters alone."""
    return all(
        letter in _INVISIBLE or unicodedata.category(letter) in _INVISIBLE_CATEGORIES or _is_selector(letter)
        for letter in text
    )


def _is_selector(letter: str) -> bool:
    """Whether a character chooses between forms of the one before it."""
    return "\ufe00" <= letter <= "\ufe0f" or "\u180b" <= letter <= "\u180f" or "\U000e0100" <= letter <= "\U000e01ef"


def parse_kind(raw: bytes) -> str:
    """The kind of text in one BYTES element.

    Raises:
        ValueError: there is no such kind.
    """
    kind = raw[:32].decode("utf-8", "replace")
    if kind not in PROMPT_OF:
        raise ValueError(f"kind is {kind!r}: it must be one of {', '.join(PROMPT_OF)}")
    return kind


def parse_request(text: Any, kind: Any) -> tuple[list[str], list[str]]:
    """The texts of a request to the tokenizer, and the kind of each.

    Args:
        text: object array [B, 1] of bytes, None if the request has no such tensor.
        kind: the same; every text is a query without it.

    Raises:
        ValueError: a tensor is missing or of another shape, or a text or kind is refused.
    """
    texts = parse_texts(TEXT_FIELD, _elements(TEXT_FIELD, text))
    kinds = _elements("kind", kind)
    return texts, ["query"] * len(texts) if kinds is None else [parse_kind(raw) for raw in kinds]


def _elements(field: str, array: Any) -> list[bytes] | None:
    if array is None:
        return None
    check_shape(field, array.shape)
    elements: list[bytes] = array.ravel().tolist()
    return elements


def shown(value: Any) -> str:
    """A value as JSON, cut to 60 characters, that can always be printed."""
    text = json.dumps(value, ensure_ascii=False)
    return (text if len(text) <= 60 else text[:57] + "...").encode("utf-8", "backslashreplace").decode()
