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
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from malgil_core.catalog.errors import CatalogError
from malgil_core.catalog.null_topic import NullTopic
from malgil_core.catalog.service import Service
from malgil_core.checksums import sha256
from malgil_core.encoder import EncoderMetadata
from malgil_core.index import reader
from malgil_core.index.generation import Generation, GenerationError, NullPhrases, phrases_of
from malgil_core.lexical import arrays
from malgil_core.lexical.index import LexicalIndex
from malgil_core.text.layout import latin_words

Vectors = npt.NDArray[np.float32]
Embed = Callable[[Sequence[str]], Vectors]
# A generation with null phrases → what its manifest says of them, `margin` and `floor` among it.
Limits = Callable[[Generation], Mapping[str, Any]]


def no_limits(generation: Generation) -> Mapping[str, Any]:
    """Limits without any tolerance: a query is out of scope if a null phrase scores higher than the best service."""
    return {"margin": 0.0, "floor": None}


def publish(
    services: Sequence[Service],
    index: Path,
    encoder: EncoderMetadata,
    embed: Embed,
    default_threshold: float | None = None,
    null_topics: Sequence[NullTopic] = (),
    limits: Limits = no_limits,
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

    Returns:
        The new generation's number.

    Raises:
        CatalogError: a text has no embedding; nothing was published.
    """
    ordered = sorted(services, key=lambda service: (not service.open, service.id))
    texts = [text for service in ordered for text in service.texts]
    service_of_row = np.repeat(np.arange(len(ordered), dtype=np.int32), [len(service.texts) for service in ordered])
    null_phrases = [phrase for topic in null_topics for phrase in topic.phrases]
    sizes = [len(topic.phrases) for topic in null_topics]
    topic_of_row = np.repeat(np.arange(len(null_topics), dtype=np.int32), sizes)
    with locked(index):
        vectors = _embedded([*texts, *null_phrases], _known(index, encoder.fingerprint), embed)
        number = next_number(index)
        temporary = index / "generations" / f".{number:06d}.tmp"
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        tensors = {"vectors": vectors, "service": service_of_row, "topic": topic_of_row}
        save_file(tensors, temporary / "vectors.safetensors")
        opened = [text for service in ordered if service.open for text in service.texts]
        lexical = arrays.PhraseArrays.of(opened)
        arrays.write(temporary / "lexical.safetensors", lexical)
        for name in ("vectors.safetensors", "lexical.safetensors"):
            (temporary / name).chmod(0o644)  # safetensors writes 0600, which a container's user could not read
        for name, entries in (("services.jsonl", ordered), ("null_topics.jsonl", null_topics)):
            lines = (json.dumps(entry.as_dict(), ensure_ascii=False) + "\n" for entry in entries)
            (temporary / name).write_text("".join(lines), encoding="utf-8")
        manifest: dict[str, Any] = {
            "format": reader.FORMAT,
            "generation": number,
            "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "encoder": {key: getattr(encoder, key) for key in ("name", "fingerprint", "dimension")},
            "services": len(ordered),
            "open_services": sum(service.open for service in ordered),
            "phrases": len(texts),
            "default_threshold": default_threshold,
            "latin_words": latin_words(opened),
            "files": {name: sha256(temporary / name) for name in reader.FILES[reader.FORMAT]},
        }
        if null_topics:
            generation = _in_memory(manifest, ordered, null_topics, vectors, service_of_row, topic_of_row, lexical)
            counts = {"topics": len(null_topics), "phrases": len(null_phrases)}
            manifest["null"] = {**counts, **limits(generation)}
        write_manifest(temporary, manifest)
        seal(index, temporary, number)
        point_at(index, number)
    return number


def _in_memory(
    manifest: Mapping[str, Any],
    services: Sequence[Service],
    null_topics: Sequence[NullTopic],
    vectors: Vectors,
    service_of_row: npt.NDArray[np.int32],
    topic_of_row: npt.NDArray[np.int32],
    lexical: arrays.PhraseArrays,
) -> Generation:
    """What a scorer would load of the open services and the null topics, before their limits are chosen."""
    opened = [service.as_dict() for service in services if service.open]
    rows = int(np.searchsorted(service_of_row, len(opened)))
    generation = Generation.of(manifest, opened, vectors[:rows], service_of_row[:rows])
    topics = [topic.as_dict() for topic in null_topics]
    null_vectors = vectors[len(service_of_row) :]
    return replace(
        generation,
        lexical=LexicalIndex(lexical, generation.is_name),
        null=NullPhrases.of(topics, null_vectors, topic_of_row, {"margin": 0.0, "floor": None}),
    )


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


def _known(index: Path, fingerprint: str) -> dict[str, Vectors]:
    """Text → vector of the current generation, of any format; empty if it is damaged or of another encoder.

    Before manifests had latin_words, phrases were embedded as queries are: Latin words may have been taken for Korean.
    """
    try:
        number = reader.current(index)
        if number is None:
            return {}
        folder = reader.folder_of(index, number)
        manifest = reader.read_manifest(folder, tuple(reader.FILES))
        if manifest["encoder"]["fingerprint"] != fingerprint:
            return {}
        texts = phrases_of(reader.lines_of(folder, "services.jsonl"))
        if "null_topics.jsonl" in manifest["files"]:
            texts += [text for topic in reader.lines_of(folder, "null_topics.jsonl") for text in topic["phrases"]]
        known = zip(texts, load_file(folder / "vectors.safetensors")["vectors"], strict=True)
        return {text: vector for text, vector in known if "latin_words" in manifest or not latin_words([text])}
    except (KeyError, TypeError, AttributeError, ValueError, OSError, SafetensorError):  # GenerationError among them
        return {}


def _embedded(texts: Sequence[str], known: Mapping[str, Vectors], embed: Embed) -> Vectors:
    """Unit vectors [texts, D]; only texts without a known vector are embedded, each once."""
    new = [text for text in dict.fromkeys(texts) if text not in known]
    vectors = dict(known)
    if new:
        fresh = np.asarray(embed(new), dtype=np.float32)
        length = np.linalg.norm(fresh, axis=1, keepdims=True)
        # A generation with one of these would be refused by every scorer.
        if bad := [text for text, size in zip(new, length[:, 0], strict=True) if not 0 < size < np.inf]:
            raise CatalogError([f"{text[:60]!r} has no embedding: it is zero or not a number" for text in bad])
        vectors.update(zip(new, fresh / length, strict=True))
    return np.stack([vectors[text] for text in texts])


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
