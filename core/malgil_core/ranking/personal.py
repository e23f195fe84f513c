"""Personal layer: a scale s and a shift b of query embeddings, which a device has learned from what its owner chose.

    q' = unit(q ⊙ (1 + s) + b)

A layer decides the order of hits and nothing else. Whether a query is in scope, and which services reach their
thresholds and `min_score`, is decided by q, as without a layer: what the app does, and what is near enough to be shown,
is the same for everybody. Among the services that would be shown, the score is

    score(q, s) = dense(q', s) + lexical(q, s) · (1 - dense(q, s))

the fused score of fusion.py plus what the layer adds to the cosine. It counts for queries that begin a service's phrase
or one of its words, as keystrokes or initials: those are short of what is meant. A sentence says what is meant, and is
answered the same for everybody: there, what a person has taught by other queries did more harm than good (5 points of
recall@1 of the labelled queries lost, against half a point). The lexical part keeps the size that it has without
a layer: closing a share of the gap that q' leaves would shrink what a person has taught to nothing where a query begins
many names, which is where it is needed ("카드").

Bounds. |s| ≤ SCALE leaves each coordinate between 1 - SCALE and 1 + SCALE of its weight, so that q turns by at most
acos(√(1 - SCALE²)) (Kantorovich's inequality), 14.5°, and ‖q ⊙ (1 + s)‖ ≥ 1 - SCALE; ‖b‖ ≤ SHIFT < 1 - SCALE turns it
by no more than asin(SHIFT / (1 - SCALE)), 15.5°. So q' is always defined, and within 30° of q.
"""

from __future__ import annotations

import base64
import binascii
import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from malgil_core.lexical.index import BEGINS, LexicalMatches
from malgil_core.ranking import scope
from malgil_core.ranking.fusion import ServiceMatches, fused
from malgil_core.ranking.topk import BatchHits
from malgil_core.ranking.types import DECIMALS, BatchThresholds, Floats, Ints, Layers, QueryOptions, Ranked

SCALE = 0.25  # the most that |s| may be, in each coordinate
SHIFT = 0.2  # the most that the length of b may be
ROOM = 1e-5  # by which float32 may be over either

# Of a layer as bytes: magic, version, kind, two bytes of zero, D, CRC-32 of what follows, the encoder's fingerprint (or
# zeros); then s and b, float32, all little-endian. client/malgil/_layer_bytes.py writes the same.
HEADER = struct.Struct("<4sBBxxII32s")
MAGIC, VERSION, LAYER = b"MGPL", 1, 0
_BASE64_MAGIC = base64.b64encode(MAGIC[:3])  # how a layer begins in Base64, for JSON, which holds no bytes


def counted(layers: Layers, matches: Sequence[LexicalMatches]) -> Layers:
    """The layers of queries that begin a phrase or a word of a service; all of them without lexical matches."""
    if not matches or not len(layers.rows):
        return layers
    begun = [place for place, row in enumerate(layers.rows.tolist()) if scope.completion(matches[row]) == BEGINS]
    return Layers(layers.rows[begun], layers.vectors[begun])


def moved(embeddings: Floats, layers: Layers) -> Floats:
    """q' of the queries that have a layer, [n, D]; `embeddings` [B, D] are those of all."""
    return apply(embeddings[layers.rows], layers.vectors) if len(layers.rows) else embeddings[:0]


def without(layers: Layers, options: Sequence[QueryOptions]) -> list[QueryOptions]:
    """The options [B] with which a batch is ranked by q: with a layer, just enough to know if anything is shown."""
    asked = list(options)
    for row in layers.rows.tolist():
        asked[row] = replace(asked[row], top_k=1)
    return asked


def apply(embeddings: Floats, layers: Floats) -> Floats:
    """q' = unit(q ⊙ (1 + s) + b) for each row, computed in float64: the client's formula to the bit.

    >>> q, s, b = [[0.6, 0.8]], [0.25, -0.25], [0.15, 0.0]
    >>> print(apply(np.array(q, np.float32), np.array([s + b], np.float32)).round(4))
    [[0.8321 0.5547]]

    Args:
        embeddings: float32 [n, D], unit length.
        layers: float32 [n, 2·D]: s, then b.
    """
    dimension = embeddings.shape[1]
    scales, shifts = (part.astype(np.float64) for part in (layers[:, :dimension], layers[:, dimension:]))
    moved = embeddings.astype(np.float64) * (1 + scales) + shifts
    length = np.sqrt(np.einsum("nd,nd->n", moved, moved))[:, np.newaxis]
    result: Floats = (moved / np.maximum(length, 1e-12)).astype(np.float32)
    return result


def parse_layer(raw: bytes, dimension: int, encoder: str) -> Floats | None:
    """The layer in one BYTES element, [2·D], or None for none: an empty element, or a layer of zeros alone.

    Args:
        raw: as the client's `PersonalLayer.to_bytes` writes it, or that in Base64.
        dimension: D of the index.
        encoder: fingerprint of the encoder that made the index.

    Raises:
        ValueError: damaged, of another encoder or dimension, not finite, or out of its bounds.
    """
    if not raw:
        return None
    vector = _unpack(raw, dimension, encoder)
    if not np.isfinite(vector).all():
        raise ValueError("personal holds NaN or an infinite number: all must be finite")
    if not vector.any():
        return None
    scale = float(np.abs(vector[:dimension]).max())
    if scale > SCALE + ROOM:
        raise ValueError(f"personal scales a coordinate by {scale:.4g}: it must be at most {SCALE}")
    shift = float(np.linalg.norm(vector[dimension:].astype(np.float64)))
    if shift > SHIFT + ROOM:
        raise ValueError(f"personal has a shift of length {shift:.4g}: it must be at most {SHIFT}")
    return vector


def _unpack(raw: bytes, dimension: int, encoder: str) -> Floats:
    expected = HEADER.size + 8 * dimension
    if raw[: len(_BASE64_MAGIC)] == _BASE64_MAGIC and len(raw) <= 2 * expected:
        try:
            raw = base64.b64decode(raw, validate=True)
        except binascii.Error as error:
            raise ValueError(f"personal is not Base64: {error}") from None
    if raw[: len(MAGIC)] != MAGIC or len(raw) < HEADER.size:
        raise ValueError(f"personal is {len(raw)} bytes without the header of a layer: send PersonalLayer.to_bytes()")
    _, version, kind, width, checksum, made_for = HEADER.unpack_from(raw)
    if version != VERSION:
        raise ValueError(f"personal has version {version}: this server reads {VERSION}")
    if kind != LAYER:
        raise ValueError(f"personal is of kind {kind}, an update for `feedback average`: a layer has {LAYER}")
    if width != dimension:
        raise ValueError(f"personal is of dimension {width}: this index takes {dimension}")
    if any(made_for) and made_for.hex() != encoder:
        raise ValueError(
            f"personal is of encoder {made_for.hex()[:12]}, the one that serves is {encoder[:12]}: start a new layer"
        )
    if len(raw) != expected:
        raise ValueError(f"personal is {len(raw)} bytes long: a layer of dimension {dimension} has {expected}")
    if zlib.crc32(raw[HEADER.size - len(made_for) :]) != checksum:
        raise ValueError("personal is damaged: its checksum is not that of its numbers")
    return np.frombuffer(raw, "<f4", offset=HEADER.size)


def shown_services(
    thresholds: BatchThresholds,
    matches: ServiceMatches,
    best: Callable[[], Floats],
    room: float,
    exact: Callable[[Ints, Ints], Floats],
) -> BatchThresholds:
    """Thresholds that show exactly the services that reach theirs without a layer: -inf for these, +inf for others.

    Args:
        thresholds: of n queries.
        matches: of the n queries.
        best: → cosine of each query with each service's nearest phrase, [n, S], within `room`.
        room: the most that `best` may be off.
        exact: queries and services, both [m], ordered by these → their exact cosines, [m].
    """
    table = thresholds.table()
    if not np.isfinite(table).any():
        return thresholds
    score = best()
    lexical = np.zeros_like(score)
    lexical[matches.queries, matches.services] = matches.scores
    score = fused(score, lexical)
    shown: npt.NDArray[np.bool_] = score >= table
    queries, services = (np.abs(score - table) <= room).nonzero()
    if len(queries):
        score = fused(exact(queries, services), lexical[queries, services])
        shown[queries, services] = score >= table[queries, services]
    return BatchThresholds(np.where(shown, -np.inf, np.inf).astype(np.float32), np.arange(len(table)))


def with_layer(matched: BatchHits, plain: Floats) -> BatchHits:
    """Services with a lexical match, by the score that a layer gives them.

    A name typed halfway stays before a phrase that is near in meaning, unless the layer adds more than the difference:

    >>> lexical, rows = np.array([0.75, 0.5], np.float32), np.array([0, 1])
    >>> q, moved = np.array([0.84, 0.84], np.float32), np.array([0.84, 0.94], np.float32)
    >>> print(with_layer(BatchHits(rows, rows, rows, moved, moved, lexical), q).scores)
    [0.96 1.02]

    Args:
        matched: by q', with lexical scores; their own scores are not read.
        plain: the cosines of the same services by q.
    """
    gap = matched.lexical.astype(np.float64) * (1 - plain.astype(np.float64))
    scores = (matched.dense + gap).round(DECIMALS).astype(np.float32)
    return replace(matched, scores=scores)


def answered(hits: Ranked, plain: Ranked) -> Ranked:
    """The hits that a layer has ordered, as an answer: scores up to 1, compared with null phrases as without it."""
    return replace(hits, scores=np.minimum(hits.scores, np.float32(1)), null=plain.null)
