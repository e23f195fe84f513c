"""The optional inputs of a request, packed in one string on their way from the tokenizer to scorer and retriever.

Triton puts two requests into one batch only if they have the same inputs (`RequiredEqualInputs` in its core's
scheduler_utils.cc). So a search with `surface` and one without would be ranked apart, and where every other search has
an option, most batches are of one or two. The tokenizer takes one request at a time anyway: it packs what is there, and
the models behind it have one input more, which every request has.

For each query of a request, each option that is there: its place in OPTIONS (a byte), the length of its value (four
bytes, little-endian), its value.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

import numpy as np

from malgil_core.text.validation import check_shape

NAME = "options"  # of the tensor, BYTES [B, 1]
# Input → its type, or None for texts. Their order is what is packed: tokenizer and readers are of one version.
OPTIONS: dict[str, type[np.generic] | None] = {
    "top_k": np.int32,
    "surface": None,
    "min_score": np.float32,
    "null": np.bool_,
    "personal": None,
    "documents_top_k": np.int32,
    "documents_filter": None,
    "documents_deadline_ms": np.int32,
}
_HEAD = struct.Struct("<BI")
_NAMES = tuple(OPTIONS)


def packed(tensors: Mapping[str, Any], batch: int) -> Any:
    """The options of a request of `batch` queries as one tensor, object array [B, 1] of bytes.

    >>> packed({"top_k": np.array([[3]], np.int32), "surface": np.array([[b"HOME"]], object)}, 1).item()
    b'\\x00\\x04\\x00\\x00\\x00\\x03\\x00\\x00\\x00\\x01\\x04\\x00\\x00\\x00HOME'

    Args:
        tensors: the request's inputs by name; those that are no options are left alone.
        batch: B.

    Raises:
        ValueError: an option is not of shape [B, 1].
    """
    rows = [b""] * batch
    for place, (name, kind) in enumerate(OPTIONS.items()):
        array = tensors.get(name)
        if array is None:
            continue
        check_shape(name, array.shape)
        if len(array) != batch:
            raise ValueError(f"{name} has {len(array)} values: the request has {batch} queries")
        for row, value in enumerate(array.ravel().tolist() if kind is None else array.astype(kind).ravel()):
            raw = value if kind is None else value.tobytes()
            rows[row] += _HEAD.pack(place, len(raw)) + raw
    made = np.empty((batch, 1), dtype=np.object_)
    made[:, 0] = rows
    return made


def unpacked(tensors: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs of a request, with the packed options as the tensors that they were packed from.

    >>> given = {"top_k": np.array([[3]], np.int32), "surface": np.array([[b"HOME"]], object)}
    >>> unpacked({"query": [[b"a"]], "options": packed(given, 1)})
    {'query': [[b'a']], 'top_k': array([[3]], dtype=int32), 'surface': array([[b'HOME']], dtype=object)}

    Raises:
        ValueError: the packed options are damaged.
    """
    found = dict(tensors)
    array = found.pop(NAME, None)
    if array is None:
        return found
    rows = [_values(raw) for raw in array.ravel().tolist()]
    names = rows[0].keys() if rows else ()
    if any(row.keys() != names for row in rows):
        raise _damaged("queries of one request have different ones")
    for name in names:
        column, kind = [row[name] for row in rows], OPTIONS[name]
        if kind is None:
            values = np.empty(len(rows), dtype=np.object_)
            values[:] = column
        else:
            if any(len(raw) != np.dtype(kind).itemsize for raw in column):
                raise _damaged(f"{name} is of another size than a number of its type")
            values = np.frombuffer(b"".join(column), kind)
        found[name] = values.reshape(-1, 1)
    return found


def _values(raw: bytes) -> dict[str, bytes]:
    values, position = {}, 0
    while position < len(raw):
        if len(raw) < position + _HEAD.size:
            raise _damaged("the last one is cut off")
        place, length = _HEAD.unpack_from(raw, position)
        position += _HEAD.size
        if place >= len(_NAMES) or len(raw) < position + length:
            raise _damaged("the last one is cut off" if place < len(_NAMES) else f"there is no option {place}")
        values[_NAMES[place]] = raw[position : position + length]
        position += length
    return values


def _damaged(reason: str) -> ValueError:
    return ValueError(f"options is not what the tokenizer packs: {reason}; send each option as an input of its own")
