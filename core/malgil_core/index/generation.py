"""A generation of an index in memory: its arrays, and the check that they fit each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from malgil_core.lexical.index import LexicalIndex

Objects = npt.NDArray[np.object_]


class GenerationError(ValueError):
    """A generation that must not serve; the text says why."""


@dataclass(frozen=True)
class NullPhrases:
    """What the app does not do: T topics with N phrases, and the limits that decide on a query by them.

    Attributes:
        margin: a query is out of scope if a null phrase scores higher than the best service by more than this.
        floor: it is, too, if the best service scores less than this; -inf for no floor.
    """

    matrix: npt.NDArray[np.float32]  # [N, D], unit rows
    topic_of_row: npt.NDArray[np.int32]  # [N], ascending
    topics: Sequence[bytes]  # [T], the names
    phrases: Sequence[bytes]  # [N]
    margin: float = 0.0
    floor: float = float("-inf")

    @classmethod
    def of(
        cls,
        topics: Sequence[Mapping[str, Any]],
        matrix: npt.NDArray[np.float32],
        topic_of_row: npt.NDArray[np.int32],
        limits: Mapping[str, Any],
    ) -> NullPhrases:
        """The phrases of null topics, as lines of a catalog have them, with `margin` and `floor` of the manifest.

        Raises:
            GenerationError: the arrays and the topics do not belong together, or a limit is not a number.
        """
        _check_rows(topic_of_row, [len(topic["phrases"]) for topic in topics], "topic", "null_topics.jsonl")
        _check_matrix(matrix)
        margin, floor = float(limits["margin"]), limits["floor"]
        if not np.isfinite(margin) or not (floor is None or np.isfinite(floor)):
            raise GenerationError(f"manifest.json: margin {margin} and floor {floor} must be finite")
        return cls(
            matrix,
            topic_of_row,
            [topic["name"].encode() for topic in topics],
            [phrase.encode() for topic in topics for phrase in topic["phrases"]],
            margin,
            float("-inf") if floor is None else float(floor),
        )


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
    encoder: str = ""  # fingerprint of the encoder that made the vectors
    lexical: LexicalIndex | None = None  # of the phrases, unless it was not to be loaded
    null: NullPhrases | None = None  # unless the catalog has no null topics
    latin_words: frozenset[str] = frozenset()  # words of the phrases that are in Latin letters, in lower case
    chosen: Sequence[Mapping[str, Any]] = ()  # what people chose, where it was published, and loaded for suggestions

    @property
    def dimension(self) -> int:
        """D."""
        return int(self.matrix.shape[1])

    @property
    def is_name(self) -> npt.NDArray[np.bool_]:
        """[P], whether a phrase is its service's name: the first of each is."""
        return np.diff(self.service_of_row, prepend=-1) > 0

    @classmethod
    def of(
        cls,
        manifest: Mapping[str, Any],
        services: Sequence[Mapping[str, Any]],
        matrix: npt.NDArray[np.float32],
        service_of_row: npt.NDArray[np.int32],
    ) -> Generation:
        """The generation of these open services, without its lexical index.

        Args:
            manifest: `generation`, `default_threshold`, `thresholds`, `created` and `encoder` are read.
            services: S open ones, with the fields of a catalog.
            matrix: [P, D], the vectors of their phrases.
            service_of_row: [P], the service of each phrase.

        Raises:
            GenerationError: the arrays and the services do not belong together, or a threshold is not a number.
        """
        sizes = [1 + len(service["phrases"]) for service in services]
        _check_rows(service_of_row, sizes, "service", "services.jsonl")
        _check_matrix(matrix)
        thresholds = _thresholds(manifest, services)
        surfaces = {surface for service in services for surface in service["surfaces"]}
        return cls(
            number=manifest["generation"],
            matrix=matrix,
            service_of_row=service_of_row,
            ids_padded=np.array([service["id"] for service in services] + [-1], dtype=np.int64),
            names_padded=_padded([service["name"] for service in services]),
            paths_padded=_padded([service["path"] for service in services]),
            phrases_padded=_padded(phrases_of(services)),
            thresholds=thresholds,
            surfaces={s: np.array([s in service["surfaces"] for service in services], bool) for s in sorted(surfaces)},
            created=str(manifest.get("created", "")),
            encoder=str(manifest.get("encoder", {}).get("fingerprint", "")),
            latin_words=frozenset(map(str, manifest.get("latin_words", ()))),
        )


def phrases_of(services: Sequence[Mapping[str, Any]]) -> list[str]:
    """The phrases of services in the order of the matrix: of each service its name, then its phrases."""
    return [phrase for service in services for phrase in (service["name"], *service["phrases"])]


def _thresholds(manifest: Mapping[str, Any], services: Sequence[Mapping[str, Any]]) -> npt.NDArray[np.float32]:
    """The lowest score of each service: the manifest's for it, else the catalog's, else the default; -inf for none."""
    default, calibrated = manifest.get("default_threshold"), manifest.get("thresholds", {})
    for service, threshold in calibrated.items():
        if not -1 <= threshold <= 1:
            raise GenerationError(f"manifest.json: threshold {threshold} of service {service} must be from -1 to 1")
    in_catalog = [calibrated.get(str(service["id"]), service["threshold"]) for service in services]
    found = [default if threshold is None else threshold for threshold in in_catalog]
    return np.array([-np.inf if threshold is None else threshold for threshold in found], dtype=np.float32)


def _check_rows(rows: npt.NDArray[Any], sizes: Sequence[int], name: str, file: str) -> None:
    """Check that the array `name` says of each row to which line of `file` it belongs."""
    if not np.array_equal(np.repeat(np.arange(len(sizes)), sizes), rows):
        raise GenerationError(f"vectors.safetensors and {file} do not belong together")
    if rows.dtype != np.int32:  # of another kind it could be equal, and index nothing
        raise GenerationError(f"vectors.safetensors: {name} is {rows.dtype}: it must be int32")


def _check_matrix(matrix: npt.NDArray[Any]) -> None:
    if matrix.dtype != np.float32:
        raise GenerationError(f"vectors.safetensors holds {matrix.dtype}: it must be float32")
    is_unit = np.abs(np.sqrt(np.einsum("pd,pd->p", matrix, matrix)) - 1) < 1e-3
    if not is_unit.all():
        raise GenerationError(f"vectors.safetensors: row {int(np.argmin(is_unit))} is not a unit vector")


def _padded(texts: Sequence[str]) -> Objects:
    array = np.empty(len(texts) + 1, dtype=np.object_)
    array[:] = [text.encode() for text in texts] + [b""]
    return array
