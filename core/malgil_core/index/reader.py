"""Reading index generations. Pure: no Triton here. `export/generations.py` writes what this reads.

index/CURRENT                          the number of the generation that serves
index/generations/000042/
    manifest.json                      counts, the encoder's fingerprint, checksums of the other three
    vectors.safetensors                vectors float32 [P, D], unit rows; service int32 [P]: row → line of services
    services.jsonl                     the catalogue's services, open ones first, then by id
    lexical.safetensors                the letters of the open services' phrases (see letters.py)
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open

from malgil_core.checksums import sha256
from malgil_core.lexical import arrays as letters
from malgil_core.lexical.index import LexicalIndex

FORMAT = 2
FILES = {  # of each format, beside the manifest
    1: ("vectors.safetensors", "services.jsonl"),
    FORMAT: ("vectors.safetensors", "services.jsonl", "lexical.safetensors"),
}
Objects = npt.NDArray[np.object_]


class GenerationError(ValueError):
    """A generation that must not serve; the text says why."""


@dataclass(frozen=True)
class Generation:
    """One index generation in memory: S open services with P phrases, grouped by service.

    Arrays named `*_padded` have one more element at the end, which an index of -1 finds: the padding of an answer.
    """

    number: int
    matrix: npt.NDArray[np.float32]  # [P, D], unit rows
    service_of_row: npt.NDArray[np.int32]  # [P], ascending
    ids_padded: npt.NDArray[np.int64]  # [S + 1]
    names_padded: Objects  # [S + 1] bytes
    paths_padded: Objects  # [S + 1] bytes
    phrases_padded: Objects  # [P + 1] bytes
    thresholds: npt.NDArray[np.float32]  # [S], -inf where there is none
    surfaces: dict[str, npt.NDArray[np.bool_]]  # surface → [S]: shown there
    created: str = ""  # when it was published, ISO 8601
    lexical: LexicalIndex | None = None  # of the phrases, unless it was not to be loaded

    @property
    def dimension(self) -> int:
        """D."""
        return int(self.matrix.shape[1])

    @property
    def is_name(self) -> npt.NDArray[np.bool_]:
        """[P], whether a phrase is its service's name: the first of each is."""
        return np.diff(self.service_of_row, prepend=-1) > 0


def folder_of(index: Path, number: int) -> Path:
    """Where a generation lies."""
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
        formats: that the caller can use: services and vectors are the same in all of FILES.

    Raises:
        GenerationError: a file is missing, damaged or of another format.
    """
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        if manifest["format"] not in formats:
            raise GenerationError(
                f"{folder}: format {str(manifest['format'])[:20]}, this reads {FORMAT}: publish the catalogue again "
                "with this version (`show` prints it)"
            )
        if sorted(manifest["files"]) != sorted(FILES[manifest["format"]]):
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
        with_lexical: whether queries will be compared with the phrases' letters.

    Raises:
        GenerationError: damaged, or made by another encoder.
    """
    with _reading(folder):
        return _load(folder, fingerprint, with_lexical)


def _load(folder: Path, fingerprint: str | None, with_lexical: bool) -> Generation:
    manifest = read_manifest(folder)
    try:
        made_by = manifest["encoder"]["fingerprint"]
        if fingerprint is not None and made_by != fingerprint:
            raise GenerationError(
                f"made by encoder {str(made_by)[:12]}, the one that serves is {fingerprint[:12]}: "
                "publish the catalogue again, or restart the server if the encoder was exported since it started"
            )
        number = manifest["generation"]
        if folder.name != f"{number:06d}":
            raise GenerationError(f"its manifest says generation {number}: folders are not copied or renamed")
        lines = (folder / "services.jsonl").read_bytes().splitlines()
        services = [service for service in map(json.loads, lines) if service["open"]]
        with safe_open(folder / "vectors.safetensors", framework="numpy") as file:
            service_of_row = file.get_tensor("service")
            rows = int(np.searchsorted(service_of_row, len(services)))
            matrix = np.ascontiguousarray(file.get_slice("vectors")[:rows])
        phrases = [phrase for service in services for phrase in (service["name"], *service["phrases"])]
        generation = _assemble(number, manifest, services, phrases, service_of_row[:rows], matrix)
        if not with_lexical:
            return generation
        return replace(generation, lexical=_lexical(folder, phrases, generation.is_name))
    except GenerationError as error:
        raise GenerationError(f"{folder}: {error}") from None
    except (
        KeyError, TypeError, AttributeError, ValueError, OverflowError, OSError, RecursionError, SafetensorError
    ) as error:  # fmt: skip
        raise GenerationError(f"{folder} is damaged: {error!r}") from None


@contextlib.contextmanager
def _reading(folder: Path) -> Iterator[None]:
    """Hold the folder's shared lock: what collects old generations leaves alone what is being read."""
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


def _assemble(
    number: int,
    manifest: dict[str, Any],
    services: list[dict[str, Any]],
    phrases: list[str],
    service_of_row: npt.NDArray[np.int32],
    matrix: npt.NDArray[np.float32],
) -> Generation:
    owners = np.repeat(np.arange(len(services)), [1 + len(service["phrases"]) for service in services])
    if not np.array_equal(owners, service_of_row):
        raise GenerationError("vectors.safetensors and services.jsonl do not belong together")
    if service_of_row.dtype != np.int32:  # of another kind it could be equal, and index nothing
        raise GenerationError(f"vectors.safetensors: service is {service_of_row.dtype}: it must be int32")
    if matrix.dtype != np.float32:
        raise GenerationError(f"vectors.safetensors holds {matrix.dtype}: it must be float32")
    length = np.sqrt(np.einsum("pd,pd->p", matrix, matrix))
    if not np.all(np.abs(length - 1) < 1e-3):
        raise GenerationError(
            f"vectors.safetensors: row {int(np.argmax(~(np.abs(length - 1) < 1e-3)))} is not a unit vector"
        )
    default = manifest.get("default_threshold")
    thresholds = [service["threshold"] if service["threshold"] is not None else default for service in services]
    surfaces = {surface for service in services for surface in service["surfaces"]}
    return Generation(
        number=number,
        matrix=matrix,
        service_of_row=service_of_row,
        ids_padded=np.array([service["id"] for service in services] + [-1], dtype=np.int64),
        names_padded=_bytes([service["name"] for service in services]),
        paths_padded=_bytes([service["path"] for service in services]),
        phrases_padded=_bytes(phrases),
        thresholds=np.array([-np.inf if t is None else t for t in thresholds], dtype=np.float32),
        surfaces={s: np.array([s in service["surfaces"] for service in services], bool) for s in sorted(surfaces)},
        created=str(manifest.get("created", "")),
    )


def _lexical(folder: Path, phrases: list[str], is_name: npt.NDArray[np.bool_]) -> LexicalIndex:
    try:
        return LexicalIndex(letters.read(folder / "lexical.safetensors", phrases), is_name)
    except ValueError as error:
        raise GenerationError(f"lexical.safetensors: {error}") from None


def _bytes(texts: list[str]) -> Objects:
    array = np.empty(len(texts) + 1, dtype=np.object_)
    array[:] = [text.encode() for text in texts] + [b""]
    return array
