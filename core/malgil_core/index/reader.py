"""Reading generations of an index from disk; writer.py writes them.

index/CURRENT                          the number of the generation that serves
index/generations/000042/
    manifest.json                      counts, the encoder's fingerprint, weights, thresholds and limits; checksums
    vectors.safetensors                vectors float32 [P + N, D], unit rows; service int32 [P]: row → line of services;
                                       topic int32 [N]: row, after those of services → line of null topics
    services.jsonl                     the catalog's services, open ones first, then by id
    null_topics.jsonl                  the catalog's null topics; empty if it has none
    lexical.safetensors                lexical index of the open services' phrases (see lexical/arrays.py)
    suggestions.jsonl                  what people chose (see suggest/chosen.py); only where it was published
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open

from malgil_core.checksums import sha256
from malgil_core.index.generation import Generation, GenerationError, NullPhrases, phrases_of
from malgil_core.lexical import arrays
from malgil_core.lexical.index import LexicalIndex, Weights

FORMAT = 3
FILES = {  # of each format, beside the manifest
    1: ("vectors.safetensors", "services.jsonl"),
    2: ("vectors.safetensors", "services.jsonl", "lexical.safetensors"),
    FORMAT: ("vectors.safetensors", "services.jsonl", "lexical.safetensors", "null_topics.jsonl"),
}
SUGGESTIONS = "suggestions.jsonl"  # of format 3, where it was published


def folder_of(index: Path, number: int) -> Path:
    """The folder of a generation."""
    return index / "generations" / f"{number:06d}"


def current(index: Path) -> int | None:
    """The number of the generation that serves, None before the first publish.

    Raises:
        GenerationError: CURRENT is not a number.
    """
    try:
        text = (index / "CURRENT").read_text(encoding="ascii", errors="replace").strip()
    except FileNotFoundError:
        return None
    if not text.isdigit() or len(text) > 18:
        raise GenerationError(f"{index / 'CURRENT'} holds {text[:40]!r}: it must be a generation's number")
    return int(text)


def read_manifest(folder: Path, formats: tuple[int, ...] = (FORMAT,)) -> dict[str, Any]:
    """The manifest of a generation, with the checksums of its files verified.

    Args:
        folder: of the generation.
        formats: accepted ones; services and vectors are the same in all of FILES.

    Raises:
        GenerationError: a file is missing, damaged or of another format.
    """
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        if manifest["format"] not in formats:
            raise GenerationError(
                f"{folder}: format {str(manifest['format'])[:20]}, this reads {FORMAT}: publish the catalog again "
                "with this version (`show` prints it)"
            )
        optional = {SUGGESTIONS} if manifest["format"] == FORMAT else set()
        if manifest["files"].keys() - optional != {*FILES[manifest["format"]]}:
            raise GenerationError(f"{folder}: its manifest must list {', '.join(FILES[manifest['format']])}")
        for name, expected in manifest["files"].items():
            if sha256(folder / name) != expected:
                raise GenerationError(f"{folder / name}: its checksum is not the manifest's")
    except GenerationError:
        raise
    except FileNotFoundError as error:
        raise GenerationError(f"{error.filename} is missing") from None
    except OSError as error:
        raise GenerationError(f"{error.filename} cannot be read: {error.strerror}") from None
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise GenerationError(f"{folder / 'manifest.json'} is damaged: {error!r}") from None
    return dict(manifest)


def load(folder: Path, fingerprint: str | None = None, with_lexical: bool = True) -> Generation:
    """Read one generation's open services into memory; 100,000 phrases of 384 dimensions take some 0.8 s.

    Args:
        folder: of the generation.
        fingerprint: of the encoder that serves; None accepts any.
        with_lexical: whether to load the lexical index too.

    Raises:
        GenerationError: damaged, or made by another encoder.
    """
    with _shared_lock(folder):
        return _load(folder, fingerprint, with_lexical, with_vectors=True)


def load_texts(folder: Path, fingerprint: str | None = None, with_lexical: bool = True) -> Generation:
    """Read what suggestions are made of: as `load`, with what people chose, and with matrices that have no rows."""
    with _shared_lock(folder):
        return _load(folder, fingerprint, with_lexical, with_vectors=False)


def _load(folder: Path, fingerprint: str | None, with_lexical: bool, with_vectors: bool) -> Generation:
    manifest = read_manifest(folder)
    try:
        made_by = manifest["encoder"]["fingerprint"]
        if fingerprint is not None and made_by != fingerprint:
            raise GenerationError(
                f"made by encoder {str(made_by)[:12]}, the one that serves is {fingerprint[:12]}: "
                "publish the catalog again, or restart the server if the encoder was exported since it started"
            )
        number = manifest["generation"]
        if folder.name != f"{number:06d}":
            raise GenerationError(f"its manifest says generation {number}: folders are not copied or renamed")
        services = [service for service in lines_of(folder, "services.jsonl") if service["open"]]
        with safe_open(folder / "vectors.safetensors", framework="numpy") as file:
            service_of_row, topic_of_row = file.get_tensor("service"), file.get_tensor("topic")
            vectors = file.get_slice("vectors")
            if vectors.get_shape()[0] != len(service_of_row) + len(topic_of_row):
                raise GenerationError("vectors.safetensors: vectors, service and topic are not of one length")
            rows = int(np.searchsorted(service_of_row, len(services)))
            matrix = np.ascontiguousarray(vectors[: rows if with_vectors else 0])
            # safetensors takes no slice of nothing at the end.
            has_null = with_vectors and len(topic_of_row)
            null_matrix = np.ascontiguousarray(vectors[len(service_of_row) :]) if has_null else matrix[:0]
        generation = Generation.of(manifest, services, matrix, service_of_row[:rows])
        if not with_vectors and SUGGESTIONS in manifest["files"]:
            generation = replace(generation, chosen=lines_of(folder, SUGGESTIONS))
        if topics := lines_of(folder, "null_topics.jsonl"):
            null = NullPhrases.of(topics, null_matrix, topic_of_row, manifest["null"])
            generation = replace(generation, null=null)
        if not with_lexical:
            return generation
        weights = weights_of(manifest)
        return replace(generation, lexical=_lexical(folder, phrases_of(services), generation.is_name, weights))
    except GenerationError as error:
        raise GenerationError(f"{folder}: {error}") from None
    except (
        KeyError, TypeError, AttributeError, ValueError, OverflowError, OSError, RecursionError, SafetensorError
    ) as error:  # fmt: skip
        raise GenerationError(f"{folder} is damaged: {error!r}") from None


def weights_of(manifest: Mapping[str, Any]) -> Weights:
    """The weights of lexical matches in a manifest; the defaults if it has none.

    Raises:
        GenerationError: they are not those of this version, or out of bounds.
    """
    try:
        return Weights(**manifest.get("weights", {}))
    except (TypeError, ValueError) as error:
        raise GenerationError(f"manifest.json: weights: {error}") from None


def lines_of(folder: Path, name: str) -> list[dict[str, Any]]:
    """The values of a JSON Lines file of a generation."""
    return [json.loads(line) for line in (folder / name).read_bytes().splitlines()]


@contextlib.contextmanager
def _shared_lock(folder: Path) -> Iterator[None]:
    """Hold the folder's shared lock: `history.collect` leaves alone what is being read."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise GenerationError(f"{folder} cannot be read: {error.strerror}") from None
    try:
        with contextlib.suppress(OSError):  # a file system without locks: then collecting only risks a refusal
            fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)


def _lexical(folder: Path, phrases: list[str], is_name: npt.NDArray[np.bool_], weights: Weights) -> LexicalIndex:
    try:
        return LexicalIndex(arrays.read(folder / "lexical.safetensors", phrases), is_name, weights)
    except ValueError as error:
        raise GenerationError(f"lexical.safetensors: {error}") from None
