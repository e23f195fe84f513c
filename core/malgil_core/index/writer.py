"""Writing index generations: immutable, checksummed, published by an atomic rename. `generation.py` reads them.

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
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from malgil_core.catalog.reading import CatalogError, Service
from malgil_core.checksums import sha256
from malgil_core.index import reader
from malgil_core.lexical import arrays as letters

Vectors = npt.NDArray[np.float32]
Embed = Callable[[Sequence[str]], Vectors]


def publish(
    services: Sequence[Service],
    index: Path,
    encoder: Mapping[str, Any],
    embed: Embed,
    default_threshold: float | None = None,
) -> int:
    """Write a generation and make it the one that serves.

    Args:
        services: a validated catalogue.
        index: the index folder; made if there is none.
        encoder: metadata of the encoder that embeds (`encoder.json`).
        embed: texts → float32 [texts, D]; called with the texts that the current generation has no vectors for.
        default_threshold: for services without a threshold of their own.

    Returns:
        The new generation's number.

    Raises:
        CatalogError: a text has no embedding; nothing was published.
    """
    ordered = sorted(services, key=lambda service: (not service.open, service.id))
    texts = [text for service in ordered for text in service.texts]
    owners = np.repeat(np.arange(len(ordered), dtype=np.int32), [len(service.texts) for service in ordered])
    with locked(index):
        vectors = _embedded(texts, _known(index, encoder["fingerprint"]), embed)
        number = next_number(index)
        temporary = index / "generations" / f".{number:06d}.tmp"
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        save_file({"vectors": vectors, "service": owners}, temporary / "vectors.safetensors")
        opened = [text for service in ordered if service.open for text in service.texts]
        letters.write(temporary / "lexical.safetensors", letters.spell(opened))
        for name in ("vectors.safetensors", "lexical.safetensors"):
            (temporary / name).chmod(0o644)  # safetensors writes 0600, which a container's user could not read
        lines = (json.dumps(service.as_dict(), ensure_ascii=False) + "\n" for service in ordered)
        (temporary / "services.jsonl").write_text("".join(lines), encoding="utf-8")
        manifest = {
            "format": reader.FORMAT,
            "generation": number,
            "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "encoder": {key: encoder[key] for key in ("name", "fingerprint", "dimension")},
            "services": len(ordered),
            "open_services": sum(service.open for service in ordered),
            "phrases": len(texts),
            "default_threshold": default_threshold,
            "files": {name: sha256(temporary / name) for name in reader.FILES[reader.FORMAT]},
        }
        write_manifest(temporary, manifest)
        seal(index, temporary, number)
        point_at(index, number)
    return number


def write_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Write a generation's manifest."""
    (folder / "manifest.json").write_text(json.dumps(manifest, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def seal(index: Path, temporary: Path, number: int) -> None:
    """Make a finished folder a generation: on disk whole before it has its number."""
    for path in (*temporary.iterdir(), temporary):
        _sync(path)
    temporary.rename(reader.folder_of(index, number))
    _sync(index / "generations")


def point_at(index: Path, number: int) -> None:
    """Make a generation the one that serves."""
    temporary = index / ".CURRENT.tmp"  # one name, so that the next publish takes it over from one that was killed
    temporary.write_text(f"{number:06d}\n", encoding="ascii")
    _sync(temporary)
    temporary.replace(index / "CURRENT")
    _sync(index)


def _known(index: Path, fingerprint: str) -> dict[str, Vectors]:
    """Vectors of the current generation by text, whatever its format, if the same encoder made them, undamaged."""
    try:
        number = reader.current(index)
        if number is None:
            return {}
        folder = reader.folder_of(index, number)
        if reader.read_manifest(folder, tuple(reader.FILES))["encoder"]["fingerprint"] != fingerprint:
            return {}
        services = map(json.loads, (folder / "services.jsonl").read_bytes().splitlines())
        texts = [text for service in services for text in (service["name"], *service["phrases"])]
        return dict(zip(texts, load_file(folder / "vectors.safetensors")["vectors"], strict=True))
    except (KeyError, TypeError, AttributeError, ValueError, OSError, SafetensorError):  # GenerationError among them
        return {}


def _embedded(texts: Sequence[str], known: Mapping[str, Vectors], embed: Embed) -> Vectors:
    """Unit vectors [texts, D]; only texts that are not known are embedded, each once."""
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
    """A number that no generation had, not even one that was deleted while it served."""
    numbers = [int(p.name) for p in (index / "generations").glob("[0-9]*") if p.name.isdigit()]
    with contextlib.suppress(reader.GenerationError):
        numbers.append(reader.current(index) or 0)
    return max(numbers, default=0) + 1


@contextlib.contextmanager
def locked(index: Path) -> Iterator[None]:
    """One publisher at a time; the lock goes with the process that holds it."""
    new = [folder for folder in (index / "generations", *(index / "generations").parents) if not folder.exists()]
    (index / "generations").mkdir(parents=True, exist_ok=True)
    for folder in new:  # or a power cut after the first publish could take the index folder with it
        _sync(folder.parent)
    with (index / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
