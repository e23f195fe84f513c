"""Conversion of arguments to input tensors and of output tensors to results, the same for both protocols.

Tensors are a dict of name to array, each with a leading batch dimension of 1: the server batches, and a client that
did would only make its fast queries wait for its slow ones. BYTES tensors are arrays of bytes objects.
"""

from __future__ import annotations

import json
import operator
from collections.abc import Mapping
from itertools import repeat
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from malgil._errors import BadRequest, ServerError
from malgil._personal import PersonalLayer
from malgil._results import (
    Document,
    DocumentsResult,
    Hit,
    NullMatch,
    SearchResult,
    Suggestion,
    SuggestResult,
    UnifiedResult,
)

Tensors: TypeAlias = dict[str, NDArray[Any]]

# Each request names its outputs; Triton sends no others.
SEARCH_OUTPUTS = ("id", "name", "path", "score", "phrase", "generation")
REPORTED_OUTPUTS = (*SEARCH_OUTPUTS, "refused_by")  # of searches with feedback
EXPLAINED_OUTPUTS = (*REPORTED_OUTPUTS, "dense", "lexical", "null_topic", "null_phrase", "null_score")
EMBED_OUTPUTS = ("embedding",)
ENCODER_OUTPUTS = ("encoder",)
SUGGEST_OUTPUTS = ("text", "id", "name", "path", "source", "score", "generation")
# Without one of a service's outputs Triton does not run the scorer.
DOCUMENT_OUTPUTS = (
    *("document_id", "title", "snippet", "highlights", "url", "category", "document_score"),
    "documents_status",
)


def service_outputs(explain: bool, reported: bool) -> tuple[str, ...]:
    """The outputs to request of a search for services; `reported`: for events, too."""
    return EXPLAINED_OUTPUTS if explain else REPORTED_OUTPUTS if reported else SEARCH_OUTPUTS


def search_inputs(
    query: str,
    top_k: int | None = None,
    surface: str | None = None,
    min_score: float | None = None,
    null_phrases: bool | None = None,
    personal: PersonalLayer | None = None,
) -> Tensors:
    """The input tensors of one search; options that are None are left out, and the server's defaults apply.

    Raises TypeError for a wrong type, BadRequest for a value that its tensor cannot hold.
    """
    tensors: Tensors = {"query": _text("query", query)}
    if top_k is not None:
        tensors["top_k"] = _int32("top_k", top_k)
    if surface is not None:
        tensors["surface"] = _text("surface", surface)
    if min_score is not None:
        tensors["min_score"] = _float32("min_score", min_score)
    if null_phrases is not None:
        tensors["null"] = _bool("null_phrases", null_phrases)
    if personal is not None:
        tensors["personal"] = _layer("personal", personal)
    return tensors


def document_inputs(
    query: str, top_k: int | None, filter: Mapping[str, Any] | None, deadline_ms: int | None, prefix: str = ""
) -> Tensors:
    """The input tensors of one search for documents; `prefix` begins the options' names in errors.

    Raises TypeError for a wrong type, BadRequest for a value that its tensor cannot hold.
    """
    tensors: Tensors = {"query": _text("query", query)}
    if top_k is not None:
        tensors["documents_top_k"] = _int32(f"{prefix}top_k", top_k)
    if filter is not None:
        tensors["documents_filter"] = _json(f"{prefix}filter", filter)
    if deadline_ms is not None:
        tensors["documents_deadline_ms"] = _int32(f"{prefix}deadline_ms", deadline_ms)
    return tensors


def suggest_inputs(typed: str, top_k: int | None, surface: str | None) -> Tensors:
    """The input tensors of one request for suggestions.

    Raises TypeError for a wrong type, BadRequest for a value that its tensor cannot hold.
    """
    tensors: Tensors = {"typed": _text("typed", typed)}
    if top_k is not None:
        tensors["top_k"] = _int32("top_k", top_k)
    if surface is not None:
        tensors["surface"] = _text("surface", surface)
    return tensors


def embed_inputs(text: str, kind: str) -> Tensors:
    """The input tensors of one embedding. "query", the server's default kind, is not sent."""
    tensors = {"text": _text("text", text)}
    kind_tensor = _text("kind", kind)
    return tensors if kind == "query" else tensors | {"kind": kind_tensor}


def read_search(outputs: Tensors) -> SearchResult:
    """The result in the output tensors of a search, without the padding columns (id -1)."""
    columns = [_row(outputs, name) for name in ("id", "name", "path", "score", "phrase")]
    parts = [map(float, _row(outputs, part)) if part in outputs else repeat(None) for part in ("dense", "lexical")]
    hits = tuple(
        Hit(int(id_), _str(name), _str(path), float(score), _str(phrase), dense, lexical)
        for (id_, name, path, score, phrase), dense, lexical in zip(zip(*columns, strict=True), *parts, strict=False)
        if id_ != -1
    )
    return SearchResult(hits, int(_row(outputs, "generation")[0]), *_read_null(outputs))


def read_refusal(outputs: Tensors) -> str:
    """Why the query was taken to be out of scope, for events: "null", "floor" or ""; "" where it was not requested."""
    return _str(_row(outputs, "refused_by")[0]) if "refused_by" in outputs else ""


def _read_null(outputs: Tensors) -> tuple[str | None, NullMatch | None]:
    """`refused_by` and `null` of a result; None of both where they were not requested."""
    if "null_topic" not in outputs:
        return None, None
    topic, phrase, refused_by = (_str(_row(outputs, name)[0]) for name in ("null_topic", "null_phrase", "refused_by"))
    return refused_by, NullMatch(topic, phrase, float(_row(outputs, "null_score")[0])) if phrase else None


def read_documents(outputs: Tensors) -> DocumentsResult:
    """The result in the output tensors of a search for documents, without the padding columns (id empty)."""
    columns = [_row(outputs, name) for name in DOCUMENT_OUTPUTS[:-1]]
    documents = tuple(
        Document(_str(id_), _str(title), _str(snippet), _pairs(marked), _str(url), _str(category), float(score))
        for id_, title, snippet, marked, url, category, score in zip(*columns, strict=True)
        if id_
    )
    return DocumentsResult(documents, _str(_row(outputs, "documents_status")[0]))


def read_suggestions(outputs: Tensors) -> SuggestResult:
    """The result in the output tensors of a request for suggestions, without the padding columns (id -1)."""
    columns = [_row(outputs, name) for name in SUGGEST_OUTPUTS[:-1]]
    suggestions = tuple(
        Suggestion(_str(text), int(id_), _str(name), _str(path), _str(source), float(score))
        for text, id_, name, path, source, score in zip(*columns, strict=True)
        if id_ != -1
    )
    return SuggestResult(suggestions, int(_row(outputs, "generation")[0]))


def read_unified(outputs: Tensors) -> UnifiedResult:
    """The services and the documents in the output tensors of a unified search."""
    return UnifiedResult(read_search(outputs), read_documents(outputs))


def _pairs(value: bytes) -> tuple[tuple[int, int], ...]:
    """The (start, end) of highlights, sent as JSON."""
    try:
        return tuple((int(start), int(end)) for start, end in json.loads(value))
    except (ValueError, TypeError):
        raise ServerError(f"the answer's highlights are {value!r}, not pairs of numbers") from None


def read_embedding(outputs: Tensors) -> NDArray[np.float32]:
    """The vector, float32 [D], in the output tensors of an embedding."""
    return _row(outputs, "embedding").astype(np.float32)  # a copy: the received array is read-only


def read_encoder(outputs: Tensors) -> str:
    """The encoder's fingerprint in the output tensors of a search."""
    return _str(_row(outputs, "encoder")[0])


def _row(outputs: Tensors, name: str) -> NDArray[Any]:
    if name not in outputs:
        raise ServerError(f"the answer lacks {name!r}; is this a Malgil server?")
    return outputs[name].reshape(-1)


def _str(value: bytes) -> str:
    return value.decode("utf-8", errors="replace")


def _text(field: str, value: str) -> NDArray[np.object_]:
    if not isinstance(value, str):
        raise TypeError(f"{field} must be str, not {type(value).__name__}")
    try:
        return np.array([[value.encode("utf-8")]], dtype=np.object_)
    except UnicodeEncodeError as error:  # a lone surrogate, such as half an emoji
        raise BadRequest(f"{field}: cannot be written as UTF-8 (at character {error.start})") from None


def _layer(field: str, value: PersonalLayer) -> NDArray[np.object_]:
    if not isinstance(value, PersonalLayer):
        raise TypeError(f"{field} must be malgil.PersonalLayer, not {type(value).__name__}")
    return np.array([[value.to_bytes()]], dtype=np.object_)


def _json(field: str, value: Mapping[str, Any]) -> NDArray[np.object_]:
    if not isinstance(value, Mapping):
        raise TypeError(f"{field} must be a mapping, not {type(value).__name__}")
    try:
        # Hangul as it is: escaped, it would be twice as long, and the server takes 2,048 bytes.
        written = json.dumps(dict(value), ensure_ascii=False, allow_nan=False)
    except TypeError as error:
        raise TypeError(f"{field} must hold text and lists of text: {error}") from None
    except ValueError as error:  # NaN, or a list within itself
        raise BadRequest(f"{field}: cannot be written as JSON ({error})") from None
    return _text(field, written)


def _int32(field: str, value: int) -> NDArray[np.int32]:
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{field} must be int, not {type(value).__name__}")
    number = operator.index(value)
    if not -(2**31) <= number < 2**31:
        raise BadRequest(f"{field}: {number} does not fit in 32 bits")
    return np.array([[number]], dtype=np.int32)


def _bool(field: str, value: bool) -> NDArray[np.bool_]:
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{field} must be bool, not {type(value).__name__}")
    return np.array([[value]], dtype=np.bool_)


def _float32(field: str, value: float) -> NDArray[np.float32]:
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)):
        raise TypeError(f"{field} must be float, not {type(value).__name__}")
    with np.errstate(over="ignore"):  # too large becomes infinity, which the server refuses
        return np.array([[value]]).astype(np.float32)
