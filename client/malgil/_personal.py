"""The personal layer: 2·D numbers on the device that put what its owner chooses first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from malgil._layer_bytes import LAYER, check_encoder, check_same_encoder, pack, unpack

Floats = NDArray[np.float32]

# Bounds that the server checks: core's ranking/personal.py says why these.
SCALE = 0.25
SHIFT = 0.2

# Of `learn`; docs/personal.md, "Learning", says how they were chosen.
RATE = 0.15  # length of a step for a difference of length 1 that is all wrong
SCALE_RATE = 400.0  # how much larger a step of s is than one of b
MARGIN = 0.03  # cosine by which the choice should be ahead
TEMPERATURE = 0.01  # of the logistic loss, in cosines


class PersonalLayer:  # noqa: PLW1641 - it changes, so it has no hash
    """A scale s and a shift b of query vectors, learned from what one person chose.

        q' = unit(q ⊙ (1 + s) + b)

    `search(…, personal=layer)` sends it with the query; the server orders the hits by q' and keeps nothing of it. With
    zeros, as `zero` makes it, an answer is that without a layer to the bit. It changes the order of what would be shown
    without it, not whether it is shown.

    A layer is of one encoder: `encoder`, its fingerprint (`client.encoder()`), goes into `to_bytes`, and a server with
    another refuses it. With "" that is not checked.

    `learn` replaces the numbers as a whole, so a layer may be searched with while it learns; let one thread learn.

    Raises ValueError for numbers that are not finite or out of bounds: 0.25 for each of s, 0.2 for the length of b.
    """

    __slots__ = ("_encoder", "_vector")

    def __init__(self, vector: Any, *, encoder: str = "") -> None:
        numbers = np.array(vector, dtype=np.float32)
        if numbers.ndim != 1 or numbers.size == 0 or numbers.size % 2:
            raise ValueError(f"vector: shape {list(numbers.shape)}, a layer has 2·D numbers")
        if not np.isfinite(numbers).all():
            raise ValueError("vector: holds NaN or an infinite number, all must be finite")
        half = numbers.size // 2
        largest, length = float(np.abs(numbers[:half]).max()), float(np.linalg.norm(numbers[half:]))
        if largest > SCALE + 1e-6:
            raise ValueError(f"vector: scales a coordinate by {largest:.4g}, at most {SCALE} is allowed")
        if length > SHIFT + 1e-6:
            raise ValueError(f"vector: has a shift of length {length:.4g}, at most {SHIFT} is allowed")
        self._vector = _frozen(numbers)
        self._encoder = check_encoder(encoder)

    @classmethod
    def zero(cls, dimension: int, *, encoder: str = "") -> PersonalLayer:
        """The layer that changes nothing; `dimension`: D, the length of the encoder's vectors."""
        if isinstance(dimension, bool) or not isinstance(dimension, int):
            raise TypeError(f"dimension must be int, not {type(dimension).__name__}")
        if dimension < 1:
            raise ValueError(f"dimension: {dimension} is below 1")
        return cls(np.zeros(2 * dimension, np.float32), encoder=encoder)

    @classmethod
    def from_bytes(cls, data: bytes, *, encoder: str = "") -> PersonalLayer:
        """The layer that `to_bytes` wrote. `encoder`: the fingerprint that it must be of; "" for any.

        Raises ValueError for bytes that are damaged or of another version, and for a layer of another encoder.
        """
        found = unpack(data, LAYER)
        check_same_encoder(found.encoder, check_encoder(encoder))
        return cls(found.numbers, encoder=found.encoder)

    def to_bytes(self) -> bytes:
        """The layer as bytes: a header of 48 bytes, then 2·D float32, 6,144 bytes at D = 768."""
        return pack(LAYER, self._encoder, self.dimension, self._vector)

    @property
    def vector(self) -> Floats:
        """The numbers, float32 [2·D], read-only: s, then b."""
        return self._vector

    @property
    def dimension(self) -> int:
        """D, the length of the encoder's vectors."""
        return self._vector.size // 2

    @property
    def encoder(self) -> str:
        """Fingerprint of the encoder; "" if none was named."""
        return self._encoder

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PersonalLayer):
            return NotImplemented
        return self._encoder == other._encoder and np.array_equal(self._vector, other._vector)

    def __repr__(self) -> str:
        half = self.dimension
        length = float(np.linalg.norm(self._vector[half:]))
        return f"PersonalLayer(dimension={half}, encoder={self._encoder[:12]!r}, shift={length:.3f})"

    def apply(self, query_vector: Any) -> Floats:
        """q' of a query's unit vector, float32 [D], as the server computes it."""
        return _moved(_vectors("query_vector", query_vector, (self.dimension,)), self._vector)

    def learn(
        self, query_vector: Any, shown_vectors: Any, chosen: int, *, scores: Sequence[float] | None = None
    ) -> PersonalLayer:
        """Learn from one choice; returns this layer, changed.

        `query_vector`: `client.embed(query)`. `shown_vectors`: [n, D], vectors of the hits' phrases as they were shown,
        `client.embed([hit.phrase for hit in result], kind="phrase")`. `chosen`: the place of the hit that was chosen,
        from 0. `scores`: of the hits, if they are at hand: then lexical matches count, too.

        A step on a pairwise logistic loss: the choice against each hit above it, which was seen and passed over, and
        against the one below, which often was. Hits further down say nothing.
        """
        query = _vectors("query_vector", query_vector, (self.dimension,))
        shown = _vectors("shown_vectors", shown_vectors, (None, self.dimension))
        place = _place(chosen, len(shown))
        gaps = None
        if scores is not None:
            gaps = _vectors("scores", scores, (len(shown),))
            gaps = gaps[place] - gaps
        step = _step(query, shown, place, self._vector, gaps)
        if step is not None:
            self._vector = _frozen(nearest_within_bounds(self._vector + step))
        return self


def _moved(query: Floats, vector: Floats) -> Floats:
    """q' [D], as core's `apply` computes it: in float64, and without a layer q itself."""
    if not vector.any():
        return query
    rows, half = query[np.newaxis].astype(np.float64), query.size
    moved = rows * (1 + vector[:half].astype(np.float64)) + vector[half:].astype(np.float64)
    length = np.sqrt(np.einsum("nd,nd->n", moved, moved))[:, np.newaxis]
    result: Floats = (moved / np.maximum(length, 1e-12)).astype(np.float32)[0]
    return result


def _step(query: Floats, shown: Floats, place: int, vector: Floats, gaps: Floats | None) -> Floats | None:
    """What to add to a layer's numbers for one choice; None if there is nothing to compare it with.

    The gradient of log(1 + exp((MARGIN - gap) / TEMPERATURE)), the mean over the hits that the choice is compared with,
    by q' and from there by b and s; the part along q', which its length of 1 takes away again, is left out.
    """
    others = [*range(place), *range(place + 1, min(place + 2, len(shown)))]
    if not others:
        return None
    by_layer = _moved(query, vector)
    if gaps is None:
        cosines = shown @ by_layer
        gaps = cosines[place] - cosines
        gaps[:place] = np.minimum(gaps[:place], 0)  # they came first, whatever their cosines say
    wrong = 1 / (1 + np.exp(np.clip((gaps[others] - MARGIN) / TEMPERATURE, -50, 50)))
    pull = (wrong.sum() * shown[place] - wrong @ shown[others]) / len(others)
    pull -= (pull @ by_layer) * by_layer
    step: Floats = np.concatenate([RATE * SCALE_RATE * pull * query, RATE * pull])
    return step


def nearest_within_bounds(vector: Floats) -> Floats:
    """The nearest numbers within the bounds, in place."""
    half = vector.size // 2
    length = float(np.linalg.norm(vector[half:]))
    np.clip(vector[:half], -SCALE, SCALE, out=vector[:half])
    if length > SHIFT:
        vector[half:] *= SHIFT / length
    return vector


def _frozen(vector: Floats) -> Floats:
    vector.flags.writeable = False
    return vector


def _vectors(field: str, value: Any, shape: tuple[int | None, ...]) -> Floats:
    """An array of this shape (None: any length), float32 and finite."""
    array = np.asarray(value, dtype=np.float32)
    if array.ndim != len(shape) or any(n not in (None, m) for n, m in zip(shape, array.shape, strict=True)):
        wanted = ["n" if n is None else n for n in shape]
        raise ValueError(f"{field}: shape {list(array.shape)}, must be [{', '.join(map(str, wanted))}]")
    if not np.isfinite(array).all():
        raise ValueError(f"{field}: holds NaN or an infinite number, all must be finite")
    return array


def _place(chosen: int, shown: int) -> int:
    if isinstance(chosen, bool) or not hasattr(chosen, "__index__"):
        raise TypeError(f"chosen must be int, not {type(chosen).__name__}")
    if not 0 <= chosen < shown:
        raise ValueError(f"chosen: {chosen} is not a place among {shown} hits, from 0")
    return int(chosen)
