"""A generation built in memory from a catalog and its vectors: what writer.py puts on disk, and what a draft is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timezone
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load_file

from malgil_core.catalog.errors import CatalogError
from malgil_core.catalog.null_topic import NullTopic
from malgil_core.catalog.service import Service
from malgil_core.encoder import EncoderMetadata
from malgil_core.index import reader
from malgil_core.index.generation import Generation, NullPhrases, phrases_of
from malgil_core.lexical.arrays import PhraseArrays
from malgil_core.lexical.index import LexicalIndex, Weights
from malgil_core.text.layout import latin_words

Vectors = npt.NDArray[np.float32]
Embed = Callable[[Sequence[str]], Vectors]
# A generation with null phrases → what its manifest says of them, `margin` and `floor` among it.
Limits = Callable[[Generation], Mapping[str, Any]]


@dataclass(frozen=True)
class Calibrated:
    """What was calibrated for an encoder, beside the default threshold and the limits of null phrases.

    Attributes:
        weights: of lexical matches.
        thresholds: by id of a service, instead of the one in the catalog.
        source: what the manifest says of the settings file; None without one.
    """

    weights: Weights = field(default_factory=Weights)
    thresholds: Mapping[int, float] = field(default_factory=dict)
    source: Mapping[str, str] | None = None

    def as_manifest(self) -> dict[str, Any]:
        """The entries of a manifest."""
        thresholds = {"thresholds": {str(id): threshold for id, threshold in self.thresholds.items()}}
        source = {"settings": dict(self.source)} if self.source else {}
        return {"weights": asdict(self.weights), **(thresholds if self.thresholds else {}), **source}


NOT_CALIBRATED = Calibrated()


def no_limits(generation: Generation) -> Mapping[str, Any]:
    """Limits without any tolerance: a query is out of scope if a null phrase scores higher than the best service."""
    return {"margin": 0.0, "floor": None}


class Rows:
    """A catalog in the order of an index: open services first, then by id; after their texts the null phrases.

    Args:
        services: a validated catalog.
        null_topics: what the app does not do.
    """

    def __init__(self, services: Sequence[Service], null_topics: Sequence[NullTopic] = ()) -> None:
        self.services = sorted(services, key=lambda service: (not service.open, service.id))
        self.null_topics = null_topics

    @cached_property
    def of_services(self) -> list[str]:
        """The texts of services, [P]."""
        return [text for service in self.services for text in service.texts]

    @cached_property
    def of_open_services(self) -> list[str]:
        """The texts of open services, which are the first ones."""
        return [text for service in self.services if service.open for text in service.texts]

    @cached_property
    def of_null_topics(self) -> list[str]:
        """The null phrases, [N]."""
        return [phrase for topic in self.null_topics for phrase in topic.phrases]

    @property
    def texts(self) -> list[str]:
        """The text of each row, [P + N]."""
        return self.of_services + self.of_null_topics

    @property
    def service_of_row(self) -> npt.NDArray[np.int32]:
        """[P], the service of each row."""
        sizes = [len(service.texts) for service in self.services]
        return np.repeat(np.arange(len(self.services), dtype=np.int32), sizes)

    @property
    def topic_of_row(self) -> npt.NDArray[np.int32]:
        """[N], the null topic of each row after those of services."""
        sizes = [len(topic.phrases) for topic in self.null_topics]
        return np.repeat(np.arange(len(self.null_topics), dtype=np.int32), sizes)


@dataclass(frozen=True)
class Built:
    """The parts of a generation.

    Attributes:
        rows: the catalog.
        vectors: of each row, of unit length.
        lexical: of the open services' texts.
        manifest: without the checksums of files.
    """

    rows: Rows
    vectors: Vectors
    lexical: PhraseArrays
    manifest: dict[str, Any]

    @classmethod
    def of(
        cls,
        rows: Rows,
        vectors: Vectors,
        encoder: EncoderMetadata,
        number: int,
        default_threshold: float | None = None,
        limits: Limits = no_limits,
        calibrated: Calibrated = NOT_CALIBRATED,
    ) -> Built:
        """The parts of the generation with this number; the other arguments are those of `writer.publish`."""
        opened = rows.of_open_services
        manifest: dict[str, Any] = {
            "format": reader.FORMAT,
            "generation": number,
            "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "encoder": {key: getattr(encoder, key) for key in ("name", "fingerprint", "dimension")},
            "services": len(rows.services),
            "open_services": sum(service.open for service in rows.services),
            "phrases": len(rows.of_services),
            "default_threshold": default_threshold,
            **calibrated.as_manifest(),
            "latin_words": latin_words(opened),
        }
        built = cls(rows, vectors, PhraseArrays.of(opened), manifest)
        if not rows.null_topics:
            return built
        counts = {"topics": len(rows.null_topics), "phrases": len(rows.of_null_topics)}
        manifest["null"] = {"margin": 0.0, "floor": None}
        manifest["null"] = {**counts, **limits(built.generation())}
        return built

    def generation(self) -> Generation:
        """The generation as a scorer would load it."""
        manifest, rows = self.manifest, self.rows
        opened = [service.as_dict() for service in rows.services if service.open]
        end = len(rows.of_open_services)
        generation = Generation.of(manifest, opened, self.vectors[:end], rows.service_of_row[:end])
        lexical = LexicalIndex(self.lexical, generation.is_name, reader.weights_of(manifest))
        generation = replace(generation, lexical=lexical)
        if not rows.null_topics:
            return generation
        topics = [topic.as_dict() for topic in rows.null_topics]
        null_vectors = self.vectors[len(rows.of_services) :]
        return replace(generation, null=NullPhrases.of(topics, null_vectors, rows.topic_of_row, manifest["null"]))


def known_vectors(index: Path, fingerprint: str) -> dict[str, Vectors]:
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


def embedded(texts: Sequence[str], known: Mapping[str, Vectors], embed: Embed) -> Vectors:
    """Unit vectors [texts, D]; only texts without a known vector are embedded, each once.

    Raises:
        CatalogError: a text has no embedding.
    """
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
