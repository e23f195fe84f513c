"""lexical.safetensors: the letters of a generation's open phrases, made by a publish and ready to be looked up.

For each form, "keys" and "initials", the arrays of lookup.Spelling, named "keys.text" and so on. What can be told from
them, weights above all, is not in the file. Pure: no Triton here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from malgil_core.lexical.postings import Spelling, opening
from malgil_core.text import keystrokes as forms

# Raised with every change to keys.py or `spell` that gives other arrays for the same phrases.
VERSION = "1"
SAMPLES = 1000  # phrases whose keys are compared with the file's


class Letters(NamedTuple):
    """P phrases as the keys that type them, and as their initials."""

    keys: Spelling
    initials: Spelling


def spell(phrases: Iterable[str]) -> Letters:
    """The letters of phrases."""
    words = [forms.words(phrase) for phrase in phrases]
    return Letters(_spell(words, forms.keys, forms.key_grams), _spell(words, forms.initials, forms.initial_grams))


def write(path: Path, letters: Letters) -> None:
    """Write the file."""
    arrays = {f"{form}.{name}": array for form, own in _parts(letters) for name, array in own._asdict().items()}
    save_file(arrays, path, metadata={"letters": VERSION})


def read(path: Path, phrases: Sequence[str]) -> Letters:
    """Read the file of these phrases; whether its arrays fit each other is for their users to check.

    Raises:
        ValueError: another version wrote it, for other phrases, or it does not hold these arrays.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            version = (file.metadata() or {}).get("letters", "")
            if version != VERSION:
                raise ValueError(f"version {version[:20]!r} of the letters, this reads {VERSION!r}: publish again")
            names = [f"{form}.{name}" for form in Letters._fields for name in Spelling._fields]
            if set(file.keys()) != set(names):
                raise ValueError(f"it must hold {', '.join(names)}")
            arrays = [_array(name, file.get_tensor(name)) for name in names]
    except (SafetensorError, TypeError) as error:  # TypeError: a type of numbers that numpy has not
        raise ValueError(str(error)) from None
    half = len(Spelling._fields)
    letters = Letters(Spelling(*arrays[:half]), Spelling(*arrays[half:]))
    if not _belong(letters.keys, phrases):
        raise ValueError("it is not of the phrases in services.jsonl: publish again")
    return letters


def _parts(letters: Letters) -> Iterable[tuple[str, Spelling]]:
    return zip(Letters._fields, letters, strict=True)


def _array(name: str, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    dtype = np.uint8 if name.endswith((".text", ".grams")) else np.int32
    if array.dtype != dtype or array.ndim != 1:
        raise ValueError(f"{name} is {array.dtype} {list(array.shape)}: it must be {np.dtype(dtype)} [n]")
    return array


def _belong(own: Spelling, phrases: Sequence[str]) -> bool:
    if len(own.ends) != len(phrases):
        return False
    text = own.text.tobytes()
    for row in range(0, len(phrases), max(len(phrases) // SAMPLES, 1)):
        start, end = own.ends[row - 1] if row else 0, own.ends[row]
        if text[start:end] != "".join(map(forms.keys, forms.words(phrases[row]))).encode():
            return False
    return True


def _spell(
    words: Sequence[Sequence[str]], form: Callable[[str], str], grams_of: Callable[[Sequence[str]], list[str]]
) -> Spelling:
    form = lru_cache(2**16)(form)  # the same words stand in many phrases
    spelled = [[form(word) for word in own] for own in words]
    text = np.frombuffer("".join(chain.from_iterable(spelled)).encode("ascii"), np.uint8)
    ends = np.cumsum([sum(map(len, own)) for own in spelled], dtype=np.int64)
    lengths = np.fromiter((len(word) for own in spelled for word in own), np.int64)
    starts = np.cumsum(lengths) - lengths
    starts = starts[np.argsort(opening(text, ends, starts), kind="stable")]
    return Spelling(text, ends.astype(np.int32), starts.astype(np.int32), *held(map(grams_of, spelled)))


def held(phrases: Iterable[Sequence[str]]) -> tuple[npt.NDArray[Any], ...]:
    """grams, holding, owners and times of Spelling, from the n-grams of each phrase."""
    counts = [Counter(grams) for grams in phrases]
    ids = {gram: at for at, gram in enumerate(dict.fromkeys(chain.from_iterable(counts)))}
    sizes = np.fromiter(map(len, counts), dtype=np.int64, count=len(counts))
    tokens = np.fromiter(map(ids.__getitem__, chain.from_iterable(counts)), np.int64, count=sizes.sum())
    times = np.fromiter(chain.from_iterable(own.values() for own in counts), np.int32, count=sizes.sum())
    owners = np.repeat(np.arange(len(counts), dtype=np.int32), sizes)
    order = np.argsort(tokens, kind="stable")
    grams = np.frombuffer("".join(gram + "\n" for gram in ids).encode("ascii"), np.uint8)
    return grams, np.bincount(tokens, minlength=len(ids)).astype(np.int32), owners[order], times[order]
