"""The export that a model repository holds already: whether it is whole, of this version, and what is asked for."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from malgil_core.checksums import sha256
from malgil_core.encoder import EncoderMetadata, EncoderMetadataError

from export.encoder import choice
from export.encoder.adapter import described
from export.encoder.source import AS_SAVED, Overrides


def why_missing(repository: Path) -> str | None:
    """Why the encoder in a model repository cannot serve; None if it can. Takes a second a gigabyte."""
    try:
        metadata = EncoderMetadata.of(repository)
    except FileNotFoundError:
        return f"{repository} has no encoder yet"
    except EncoderMetadataError as error:
        return str(error)
    for name, checksum in metadata.files.items():
        folder = "tokenizer" if name == "tokenizer.json" else "encoder"
        file = repository / folder / "1" / name
        if not file.is_file():
            return f"{file} is missing"
        if sha256(file) != checksum:
            return f"{file} is not the file that was exported"
    return None


def why_changed(
    repository: Path,
    source: str,
    precision: str,
    vocabulary: str,
    overrides: Overrides = AS_SAVED,
    adapter: Path | None = None,
) -> str | None:
    """Why the encoder in a model repository is not the one asked for; None if it is, and can serve."""
    if reason := why_missing(repository):
        return reason
    metadata = EncoderMetadata.of(repository)
    if precision == choice.AUTO:
        precision = metadata.precision if metadata.graph == "stock" else choice.precision().name
    if vocabulary == choice.AUTO:
        vocabulary = choice.vocabulary(source).name
    asked = {"source": described(source, adapter), "precision": precision, "vocabulary": vocabulary}
    for field, value in asked.items():
        if getattr(metadata, field) != value:
            return f"{repository} has {field} {getattr(metadata, field) or 'unknown'}, not {value}"
    has = (metadata.pooling, metadata.prompts["query"], metadata.prompts["passage"])
    names = ("pooling", "query prompt", "passage prompt")
    for name, old, new in zip(names, has, dataclasses.astuple(overrides), strict=True):
        if new is not None and old != new:
            return f"{repository} has {name} {old!r}, not {new!r}"
    return None
