"""The arrays of phrases that lexical matches are looked up in, and the file that a generation keeps them in.

lexical.safetensors holds them for the open services' phrases in two forms, named "keystrokes.text" and so on. Weights
are not in the file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from malgil_core.lexical.postings import PostingArrays
from malgil_core.lexical.prefixes import PrefixArrays
from malgil_core.text.keystrokes import initial_grams, initials, key_grams, keys, words

# Raised with every change to keystrokes.py or `PhraseArrays.of` that gives other arrays for the same phrases.
VERSION = "2"
SAMPLES = 1000  # phrases whose keys are compared with the file's


class FormArrays(NamedTuple):
    """P phrases in one form, keystrokes or initials."""

    prefixes: PrefixArrays
    postings: PostingArrays


class PhraseArrays(NamedTuple):
    """P phrases as the keys that type them, and as their initial consonants."""

    keystrokes: FormArrays
    initials: FormArrays

    @classmethod
    def of(cls, phrases: Iterable[str]) -> PhraseArrays:
        """The arrays of phrases; 40 µs a phrase."""
        words_of = [words(phrase) for phrase in phrases]
        return cls(_form(words_of, keys, key_grams), _form(words_of, initials, initial_grams))


NAMES = [f"{form}.{name}" for form in PhraseArrays._fields for name in (*PrefixArrays._fields, *PostingArrays._fields)]


def write(path: Path, arrays: PhraseArrays) -> None:
    """Write lexical.safetensors."""
    save_file(_named(arrays), path, metadata={"version": VERSION})


def read(path: Path, phrases: Sequence[str]) -> PhraseArrays:
    """Read lexical.safetensors; Prefixes and Postings check whether its arrays fit each other.

    Raises:
        ValueError: it was written by another version or for other phrases, or it does not hold these arrays.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            version = (file.metadata() or {}).get("version", "1")  # the first had another key
            if version != VERSION:
                raise ValueError(f"version {version[:20]!r} of the arrays, this reads {VERSION!r}: publish again")
            if set(file.keys()) != set(NAMES):
                raise ValueError(f"it must hold {', '.join(NAMES)}")
            tensors = [_checked(name, file.get_tensor(name)) for name in NAMES]
    except (SafetensorError, TypeError) as error:  # TypeError: a type of numbers that numpy has not
        raise ValueError(str(error)) from None
    arrays = _unnamed(tensors)
    if not _is_of(arrays.keystrokes.prefixes, phrases):
        raise ValueError("it is not of the phrases in services.jsonl: publish again")
    return arrays


def _named(arrays: PhraseArrays) -> dict[str, npt.NDArray[Any]]:
    return dict(zip(NAMES, (array for form in arrays for part in form for array in part), strict=True))


def _unnamed(tensors: Sequence[npt.NDArray[Any]]) -> PhraseArrays:
    half, prefixes = len(tensors) // 2, len(PrefixArrays._fields)
    forms = [
        FormArrays(PrefixArrays(*part[:prefixes]), PostingArrays(*part[prefixes:]))
        for part in (tensors[:half], tensors[half:])
    ]
    return PhraseArrays(*forms)


def _checked(name: str, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    dtype = np.uint8 if name.endswith((".text", ".grams")) else np.int32
    if array.dtype != dtype or array.ndim != 1:
        raise ValueError(f"{name} is {array.dtype} {list(array.shape)}: it must be {np.dtype(dtype)} [n]")
    return array


def _is_of(arrays: PrefixArrays, phrases: Sequence[str]) -> bool:
    """Whether the arrays are those of the phrases, by their number and the keys of a sample."""
    if len(arrays.ends) != len(phrases):
        return False
    text = arrays.text.tobytes()
    for row in range(0, len(phrases), max(len(phrases) // SAMPLES, 1)):
        start, end = arrays.ends[row - 1] if row else 0, arrays.ends[row]
        if text[start:end] != "".join(map(keys, words(phrases[row]))).encode():
            return False
    return True


def _form(
    phrases: Sequence[Sequence[str]], form_of: Callable[[str], str], grams_of: Callable[[Sequence[str]], list[str]]
) -> FormArrays:
    form_of = lru_cache(2**16)(form_of)  # the same words stand in many phrases
    formed = [[form_of(word) for word in words] for words in phrases]
    return FormArrays(PrefixArrays.of(formed), PostingArrays.of(map(grams_of, formed)))
