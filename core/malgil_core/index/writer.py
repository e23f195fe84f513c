"""Writing generations of an index: immutable, checksummed, published by an atomic rename; reader.py reads them.

The order on disk (a crash between any two steps leaves the old generation serving, whole):
files of the generation, fsync each → its folder under a temporary name, fsync → rename to its number, fsync the
parent → CURRENT under a temporary name, fsync → rename over CURRENT, fsync the parent.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from safetensors.numpy import save_file

from malgil_core.catalog.null_topic import NullTopic
from malgil_core.catalog.service import Service
from malgil_core.checksums import sha256
from malgil_core.encoder import EncoderMetadata
from malgil_core.index import reader
from malgil_core.index.building import (
    NOT_CALIBRATED,
    Built,
    Calibrated,
    Embed,
    Limits,
    Rows,
    Vectors,
    embedded,
    known_vectors,
    no_limits,
)
from malgil_core.index.generation import GenerationError
from malgil_core.lexical import arrays

__all__ = ["Calibrated", "Embed", "Limits", "Vectors", "locked", "no_limits", "publish"]


def publish(
    services: Sequence[Service],
    index: Path,
    encoder: EncoderMetadata,
    embed: Embed,
    default_threshold: float | None = None,
    null_topics: Sequence[NullTopic] = (),
    limits: Limits = no_limits,
    calibrated: Calibrated = NOT_CALIBRATED,
    chosen: Sequence[Mapping[str, Any]] = (),
) -> int:
    """Write a generation and make it the one that serves.

    Waits for other publishers. Old generations stay: `history.collect` removes them.

    Args:
        services: a validated catalog.
        index: the index folder; made if there is none.
        encoder: metadata of the encoder that embeds.
        embed: texts → float32 [texts, D]; called with the texts that the current generation has no vectors for.
        default_threshold: for services without a threshold.
        null_topics: what the app does not do.
        limits: chooses margin and floor, where there are null topics.
        calibrated: weights of lexical matches, and thresholds instead of the catalog's.
        chosen: what people chose, lines of a checked file of suggestions.

    Returns:
        The new generation's number.

    Raises:
        CatalogError: a text has no embedding; nothing was published.
    """
    rows = Rows(services, null_topics)
    with locked(index):
        vectors = embedded(rows.texts, known_vectors(index, encoder.fingerprint), embed)
        number = next_number(index)
        built = Built.of(rows, vectors, encoder, number, default_threshold, limits, calibrated)
        temporary = index / "generations" / f".{number:06d}.tmp"
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        tensors = {"vectors": vectors, "service": rows.service_of_row, "topic": rows.topic_of_row}
        save_file(tensors, temporary / "vectors.safetensors")
        arrays.write(temporary / "lexical.safetensors", built.lexical)
        for name in ("vectors.safetensors", "lexical.safetensors"):
            (temporary / name).chmod(0o644)  # safetensors writes 0600, which a container's user could not read
        for name, entries in (("services.jsonl", rows.services), ("null_topics.jsonl", null_topics)):
            _write_lines(temporary / name, [entry.as_dict() for entry in entries])
        files, manifest = [*reader.FILES[reader.FORMAT]], built.manifest
        if chosen:
            _write_lines(temporary / reader.SUGGESTIONS, chosen)
            files.append(reader.SUGGESTIONS)
            manifest = {**manifest, "suggestions": len(chosen)}
        checksums = {name: sha256(temporary / name) for name in files}
        write_manifest(temporary, {**manifest, "files": checksums})
        seal(index, temporary, number)
        point_at(index, number)
    return number


def _write_lines(path: Path, values: Sequence[Mapping[str, Any]]) -> None:
    """Write a file of JSON Lines."""
    path.write_text("".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values), encoding="utf-8")


def write_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Write manifest.json; `seal` syncs it."""
    (folder / "manifest.json").write_text(json.dumps(manifest, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def seal(index: Path, temporary: Path, number: int) -> None:
    """Sync a finished folder to disk, then rename it to its number."""
    for path in (*temporary.iterdir(), temporary):
        _sync(path)
    temporary.rename(reader.folder_of(index, number))
    _sync(index / "generations")


def point_at(index: Path, number: int) -> None:
    """Make a generation the one that serves, by replacing CURRENT atomically."""
    temporary = index / ".CURRENT.tmp"  # one name, so that the next publish takes it over from one that was killed
    temporary.write_text(f"{number:06d}\n", encoding="ascii")
    _sync(temporary)
    temporary.replace(index / "CURRENT")
    _sync(index)


def next_number(index: Path) -> int:
    """The number of the next generation: above every folder, and above CURRENT, whose folder may have been deleted."""
    numbers = [int(p.name) for p in (index / "generations").glob("[0-9]*") if p.name.isdigit()]
    with contextlib.suppress(GenerationError):
        numbers.append(reader.current(index) or 0)
    return max(numbers, default=0) + 1


@contextlib.contextmanager
def locked(index: Path) -> Iterator[None]:
    """Hold the index's lock, after waiting for it; makes the index folder if there is none.

    The lock is released at the end of the block, or when the process dies.
    """
    new = [folder for folder in (index / "generations", *(index / "generations").parents) if not folder.exists()]
    (index / "generations").mkdir(parents=True, exist_ok=True)
    for folder in new:  # or a power cut after the first publish could take the index folder with it
        _sync(folder.parent)
    with (index / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _sync(path: Path) -> None:
    """Sync a file or a folder to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
