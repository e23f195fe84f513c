"""Metadata of an exported encoder: `encoder.json`, which an export writes beside the tokenizer."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from malgil_core.text.validation import PROMPT_OF

FILE = "encoder.json"
# Of the exported graph. 2: hides its output's width, embeds in groups, and answers an empty text with NaN.
FORMAT = 2
_MOST = 2**31 - 1  # of dimension, max_length and format


class EncoderMetadataError(ValueError):
    """An `encoder.json` that cannot be used; the text says what is wrong and what to run."""


@dataclass(frozen=True)
class EncoderMetadata:
    """Metadata of one exported encoder.

    Attributes:
        name: for people.
        family: `model_type` of the source's configuration.
        graph: `packed`, or `stock` for a wrapped model.
        precision: of the graph's weights.
        vocabulary: word pieces kept.
        dimension: numbers in an embedding.
        max_length: tokens of a text that the encoder reads, special tokens included.
        pooling: how token vectors become one.
        normalize: whether embeddings have unit length.
        prompts: kind of text → text put in front of it.
        files: exported file → its sha256.
        fingerprint: equal for encoders that give the same vectors; see `fingerprint`.
        format: of the exported graph; one of another format is refused.
        source: what was exported: `bundled`, a directory or a hub id. Empty if an older version did not record it.
        source_fingerprint: of the directory that was exported as it is; see export.encoder.source. Else empty.
    """

    name: str
    family: str
    graph: str
    precision: str
    vocabulary: str
    dimension: int
    max_length: int
    pooling: str
    normalize: bool
    prompts: Mapping[str, str]
    files: Mapping[str, str]
    fingerprint: str
    format: int = FORMAT
    source: str = ""
    source_fingerprint: str = ""

    @classmethod
    def read(cls, path: Path) -> EncoderMetadata:
        """Read and check an `encoder.json`.

        Raises:
            FileNotFoundError: nothing was exported yet; the text says what to run.
            EncoderMetadataError: the file is damaged, or cannot be read.
        """
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            metadata = cls(**_checked(content))
        except FileNotFoundError:
            raise FileNotFoundError(f"{path} is missing: run `python -m export encoder` first") from None
        except OSError as error:
            sentence = f"{path} cannot be read: {error.strerror}; run `python -m export encoder`"
            raise EncoderMetadataError(sentence) from None
        except (ValueError, RecursionError) as error:
            sentence = f"{path} is damaged: {error}; run `python -m export encoder` again"
            raise EncoderMetadataError(sentence) from None
        if metadata.format != FORMAT:
            raise EncoderMetadataError(
                f"{path} is of an encoder exported by another version (format {metadata.format}, not {FORMAT}): "
                "run `python -m export encoder` again"
            )
        return metadata

    @classmethod
    def of(cls, repository: Path) -> EncoderMetadata:
        """Metadata of the encoder in a model repository; raises as `read` does."""
        return cls.read(repository / "tokenizer" / "1" / FILE)

    def write(self, path: Path) -> None:
        """Write an `encoder.json`."""
        path.write_text(json.dumps(dataclasses.asdict(self), ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def fingerprint(files: Mapping[str, str], prompts: Mapping[str, str], max_length: int) -> str:
    """The sha256 over what must be equal for two encoders to give the same vectors: files, prompts and window."""
    same = {"files": dict(files), "prompts": dict(prompts), "max_length": max_length}
    return hashlib.sha256(json.dumps(same, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def _checked(content: Any) -> dict[str, Any]:
    """The fields of the metadata, each of its type and within its bounds."""
    if not isinstance(content, dict):
        raise ValueError("it must hold an object")
    content = {"format": 1, "source": "", "source_fingerprint": "", **content}  # older ones had none of them
    names = [field.name for field in dataclasses.fields(EncoderMetadata)]
    if missing := [name for name in names if name not in content]:
        raise ValueError(f"{missing[0]} is missing")
    fields = {name: content[name] for name in names}
    texts = ("name", "family", "graph", "precision", "vocabulary", "pooling", "fingerprint")
    for name in (*texts, "source", "source_fingerprint"):
        if not _is_text(fields[name]):
            raise ValueError(f"{name} must be a text")
    for name in ("dimension", "max_length", "format"):
        value = fields[name]
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= _MOST:
            raise ValueError(f"{name} is {str(value)[:40]}: it must be a whole number from 1 to {_MOST}")
    if not isinstance(fields["normalize"], bool):
        raise ValueError("normalize must be true or false")
    prompts = fields["prompts"]
    if not _holds_texts(prompts) or not all(kind in prompts for kind in PROMPT_OF.values()):
        raise ValueError(f"prompts must have a text for each of {', '.join(dict.fromkeys(PROMPT_OF.values()))}")
    if not _holds_texts(fields["files"]):
        raise ValueError("files must have a checksum for each file")
    return fields


def _holds_texts(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_is_text, [*value, *value.values()]))


def _is_text(value: Any) -> bool:
    """Whether this is a string that UTF-8 can hold: JSON may spell half a surrogate pair."""
    return isinstance(value, str) and not any("\ud800" <= letter <= "\udfff" for letter in value)
