"""A search request: its tensors checked and parsed, and the tensors of its answer.

The text of every ValueError is a sentence for the caller: the field, the value, the bound.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from malgil_core.index.generation import Generation, NullPhrases
from malgil_core.lexical.numbers import ranges
from malgil_core.limits import DEFAULT_TOP_K, MAX_TEXT_BYTES, MAX_TOP_K
from malgil_core.ranking.personal import parse_layer
from malgil_core.ranking.types import Floats, QueryOptions, Ranked
from malgil_core.text.validation import parse_texts, require

INPUTS = ("query", "embedding", "top_k", "surface", "min_score", "null", "personal")


@dataclass(frozen=True)
class SearchRequest:
    """The queries of one request.

    Attributes:
        queries: [B] texts.
        embeddings: [B, D], an array or a tensor on a device.
        options: [B].
        layers: [B], the personal layer of each query, or None.
    """

    queries: list[str]
    embeddings: Any
    options: list[QueryOptions]
    layers: list[Floats | None]

    @classmethod
    def parse(cls, tensors: Mapping[str, Any], generation: Generation) -> SearchRequest:
        """A request's input tensors by name (INPUTS), None or no entry where an optional one is absent.

        Raises:
            ValueError: a required tensor is missing, or a value is out of its bounds.
        """
        query, top_k, surface, min_score, null, personal = (
            _elements(tensors.get(name)) for name in INPUTS if name != "embedding"
        )
        queries = parse_texts("query", query)
        embeddings = require("embedding", tensors.get("embedding"))
        check_embeddings(embeddings, generation.dimension)
        options = parse_options(len(embeddings), top_k, surface, min_score, generation.surfaces, null)
        raw = [b""] * len(options) if personal is None else personal
        layers = [parse_layer(one, generation.dimension, generation.encoder) for one in raw]
        return cls(queries, embeddings, options, layers)


def _elements(tensor: Any) -> list[Any] | None:
    return None if tensor is None else tensor.ravel().tolist()


def parse_top_k(value: int) -> int:
    """The number of hits.

    Raises:
        ValueError: outside 1…1000.
    """
    if not 1 <= value <= MAX_TOP_K:
        raise ValueError(f"top_k is {value}: it must be from 1 to {MAX_TOP_K}")
    return value


def parse_surface(raw: bytes, known: Collection[str]) -> str:
    """The surface to show on.

    Raises:
        ValueError: no open service of the catalog has it.
    """
    surface = unicodedata.normalize("NFC", raw[:MAX_TEXT_BYTES].decode("utf-8", "replace"))  # as the catalog's are
    if surface not in known:
        raise ValueError(f"surface is {surface[:64]!r}: the catalog has {', '.join(known) or 'none'}")
    return surface


def parse_min_score(value: float) -> float:
    """The lowest score of a hit.

    Raises:
        ValueError: outside -1…1, or not a number.
    """
    if not -1 <= value <= 1:
        raise ValueError(f"min_score is {value:g}: it must be from -1 to 1")
    return value


def check_embeddings(embeddings: Any, dimension: int) -> None:
    """Check that embeddings [B, D], an array or a tensor on a device, can be scored.

    Raises:
        ValueError: without a batch dimension, of another width than the index, or not finite.
    """
    # Triton keeps 32 bits of a batch size: one of 2**32 becomes 0, and its tensors come without a batch dimension.
    if embeddings.ndim != 2:
        raise ValueError(f"embedding has shape {list(embeddings.shape)}: it must have 2 dimensions, the batch first")
    if embeddings.shape[1] != dimension:
        raise ValueError(f"embedding has {embeddings.shape[1]} numbers: this index takes {dimension}")
    values = embeddings if isinstance(embeddings, np.ndarray) else embeddings.cpu().numpy()
    if np.isfinite(values).all():
        return
    if np.isnan(values).any():
        raise ValueError(
            "embedding holds NaN, which an encoder gives to a whole batch if one input_ids in it is empty, and to ids "
            "outside its vocabulary or its window: search again, and send no empty input_ids"
        )
    raise ValueError("embedding holds an infinite number: all must be finite")


def parse_options(
    batch: int,
    top_k: Sequence[int] | None,
    surface: Sequence[bytes] | None,
    min_score: Sequence[float] | None,
    known_surfaces: Collection[str],
    null: Sequence[bool] | None = None,
) -> list[QueryOptions]:
    """The options of each of a request's `batch` queries; None where the optional tensor is absent.

    Raises:
        ValueError: a value is out of its bounds.
    """
    ks = [DEFAULT_TOP_K] * batch if top_k is None else [parse_top_k(int(k)) for k in top_k]
    surfaces = [None] * batch if surface is None else [parse_surface(s, known_surfaces) for s in surface]
    scores = [None] * batch if min_score is None else [parse_min_score(float(s)) for s in min_score]
    nulls = [True] * batch if null is None else [bool(value) for value in null]
    return [QueryOptions(*values) for values in zip(ks, surfaces, scores, nulls, strict=True)]


def lay_out(generation: Generation, ranked: Sequence[Ranked], options: Sequence[QueryOptions]) -> dict[str, Any]:
    """`lay_out_batch` for a single request."""
    return lay_out_batch(generation, ranked, [options])[0]


def lay_out_batch(
    generation: Generation, ranked: Sequence[Ranked], requests: Sequence[Sequence[QueryOptions]]
) -> list[dict[str, Any]]:
    """The output tensors of each request of a batch: K columns, K the largest top_k of the request.

    Columns without a hit have id -1, empty texts, score and dense -1, and lexical 0: the lowest values of each, which
    JSON can hold. So has null_score where the query was not compared with null phrases.

    Args:
        generation: that was searched.
        ranked: the hits of all queries, request by request.
        requests: the options of each request's queries.
    """
    queries = [len(options) for options in requests]
    columns = [max(query.top_k for query in options) for options in requests]
    widths = np.array(columns, dtype=np.int64).repeat(queries)
    # The columns of all queries lie end to end, so that they are filled at once; each request's are cut from there.
    total = int(widths.sum())
    places = ranges(widths.cumsum() - widths, np.array([len(hits.services) for hits in ranked], dtype=np.int64))

    def filled(empty: float, dtype: type, parts: Sequence[Any]) -> Any:
        array: npt.NDArray[Any] = np.full(total, empty, dtype=dtype)
        array[places] = np.concatenate(parts)
        return array

    services = filled(-1, np.int64, [hits.services for hits in ranked])
    by_hit = {
        "id": generation.ids_padded[services],
        "name": generation.names_padded[services],
        "path": generation.paths_padded[services],
        "phrase": generation.phrases_padded[filled(-1, np.int64, [hits.rows for hits in ranked])],
        "score": filled(-1, np.float32, [hits.scores for hits in ranked]),
        "dense": filled(-1, np.float32, [hits.dense for hits in ranked]),
        "lexical": filled(0, np.float32, [hits.lexical for hits in ranked]),
    }
    by_query = {
        "generation": np.full((len(ranked), 1), generation.number, dtype=np.int64),
        "encoder": np.full((len(ranked), 1), generation.encoder.encode(), dtype=np.object_),
        "answered": np.ones((len(ranked), 1), dtype=bool),
        **_lay_out_null(generation.null, ranked),
    }
    outputs, hit, query = [], 0, 0
    for rows, width in zip(queries, columns, strict=True):
        hits, asked = slice(hit, hit + rows * width), slice(query, query + rows)
        outputs.append(
            {name: array[hits].reshape(rows, width) for name, array in by_hit.items()}
            | {name: array[asked] for name, array in by_query.items()}
        )
        hit, query = hits.stop, asked.stop
    return outputs


def _lay_out_null(null: NullPhrases | None, ranked: Sequence[Ranked]) -> dict[str, Any]:
    """The output tensors on null phrases, one column each."""
    found = [(b"", b"", -1.0, b"")] * len(ranked)
    for i, match in enumerate(hits.null for hits in ranked):
        if null and match:
            topic = null.topics[null.topic_of_row[match.row]]
            found[i] = (topic, null.phrases[match.row], match.score, match.refused_by.encode())
    topics, phrases, scores, refused_by = zip(*found, strict=True)
    columns = {"null_topic": topics, "null_phrase": phrases, "refused_by": refused_by}
    texts = {name: np.array(column, dtype=np.object_).reshape(-1, 1) for name, column in columns.items()}
    return {**texts, "null_score": np.array(scores, dtype=np.float32).reshape(-1, 1)}
