"""Reading a request's tensors and laying out its answer. Pure: no Triton here.

Every ValueError's text is a sentence for the caller: the field, the value, the bound.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Sequence
from typing import Any, TypeVar

import numpy as np

from malgil_core.index.reader import Generation
from malgil_core.limits import DEFAULT_TOP_K, MAX_TEXT_BYTES, MAX_TOP_K
from malgil_core.ranking.types import Floats, QueryOptions, Ranked

Tensor = TypeVar("Tensor")


def require(name: str, value: Tensor | None) -> Tensor:
    """What a required input holds.

    Triton counts a request's inputs, but does not look which they are: an optional one passes for a required one.

    Raises:
        ValueError: it is missing.
    """
    if value is None:
        raise ValueError(f"{name} is missing: a request must have it")
    return value


def parse_query(raw: bytes) -> str:
    """The query text.

    Raises:
        ValueError: blank, longer than 8 KiB, or not UTF-8.
    """
    if len(raw) > MAX_TEXT_BYTES:
        raise ValueError(f"query is {len(raw)} bytes long: at most {MAX_TEXT_BYTES} are taken")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"query is not UTF-8: {error.reason} at byte {error.start}") from None
    if not text.strip():
        raise ValueError(f"query is blank: {len(raw)} bytes without a visible character; send at least one")
    return text


def parse_top_k(value: int) -> int:
    """How many hits.

    Raises:
        ValueError: outside 1…1000.
    """
    if not 1 <= value <= MAX_TOP_K:
        raise ValueError(f"top_k is {value}: it must be from 1 to {MAX_TOP_K}")
    return value


def parse_surface(raw: bytes, known: Collection[str]) -> str:
    """The surface to show on.

    Raises:
        ValueError: no open service of the catalogue has it.
    """
    surface = unicodedata.normalize("NFC", raw[:MAX_TEXT_BYTES].decode("utf-8", "replace"))  # as the catalogue's are
    if surface not in known:
        raise ValueError(f"surface is {surface[:64]!r}: the catalogue has {', '.join(known) or 'none'}")
    return surface


def parse_min_score(value: float) -> float:
    """The least score of a hit.

    Raises:
        ValueError: outside -1…1, or not a number.
    """
    if not -1 <= value <= 1:
        raise ValueError(f"min_score is {value:g}: it must be from -1 to 1")
    return value


def check_embeddings(embeddings: Floats, dimension: int) -> None:
    """Whether embeddings [B, D] can be scored.

    Raises:
        ValueError: without a batch dimension, of another width than the index, or not finite.
    """
    # Triton keeps 32 bits of a batch size: one of 2**32 becomes 0, and its tensors come without a batch dimension.
    if embeddings.ndim != 2:
        raise ValueError(f"embedding has shape {list(embeddings.shape)}: it must have 2 dimensions, the batch first")
    if embeddings.shape[1] != dimension:
        raise ValueError(f"embedding has {embeddings.shape[1]} numbers: this index takes {dimension}")
    if not np.isfinite(embeddings).all():
        raise ValueError("embedding holds a number that is not finite")


def parse_options(
    batch: int,
    top_k: Sequence[int] | None,
    surface: Sequence[bytes] | None,
    min_score: Sequence[float] | None,
    known_surfaces: Collection[str],
) -> list[QueryOptions]:
    """What each of a request's `batch` queries asks for; None where the optional tensor is absent.

    Raises:
        ValueError: a value is out of its bounds.
    """
    ks = [DEFAULT_TOP_K] * batch if top_k is None else [parse_top_k(int(k)) for k in top_k]
    surfaces = [None] * batch if surface is None else [parse_surface(s, known_surfaces) for s in surface]
    scores = [None] * batch if min_score is None else [parse_min_score(float(s)) for s in min_score]
    return [QueryOptions(*wanted) for wanted in zip(ks, surfaces, scores, strict=True)]


def lay_out(generation: Generation, ranked: Sequence[Ranked], options: Sequence[QueryOptions]) -> dict[str, Any]:
    """The output tensors of one request: K columns, K the largest top_k, padded with -1, "" and -inf."""
    columns = max(wanted.top_k for wanted in options)
    services = np.full((len(ranked), columns), -1, dtype=np.int64)
    rows = np.full((len(ranked), columns), -1, dtype=np.int64)
    scores, dense, lexical = (np.full((len(ranked), columns), -np.inf, dtype=np.float32) for _ in range(3))
    for i, hits in enumerate(ranked):
        n = len(hits.services)
        services[i, :n], rows[i, :n] = hits.services, hits.rows
        scores[i, :n], dense[i, :n], lexical[i, :n] = hits.scores, hits.dense, hits.lexical
    return {
        "id": generation.ids_padded[services],
        "name": generation.names_padded[services],
        "path": generation.paths_padded[services],
        "phrase": generation.phrases_padded[rows],
        "score": scores,
        "dense": dense,
        "lexical": lexical,
        "generation": np.full((len(ranked), 1), generation.number, dtype=np.int64),
    }
