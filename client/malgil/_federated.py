"""Updates of personal layers for federated averaging: clipped and noised on the device, with a stated privacy budget.

A device sends what its layer has learned beyond a start that all devices share: not its layer, queries or choices.
That is federated averaging with user-level differential privacy (McMahan et al. 2018, "Learning Differentially Private
Recurrent Language Models"), with the clipping and Gaussian noise of Abadi et al. 2016 ("Deep Learning with
Differential Privacy"); each device adds its share of the noise by itself.
"""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from malgil._layer_bytes import UPDATE, check_encoder, check_same_encoder, pack, unpack
from malgil._personal import PersonalLayer

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class LayerUpdate:
    """What one layer has learned beyond a start, clipped and noised: for `python -m feedback average`.

    The numbers are [Δs / √D, Δb], so that both parts have the size of what they do to a query. They are scaled down
    to length `clip` if they are longer, and get Gaussian noise of standard deviation
    noise_multiplier · clip / √cohort in each place: the sum over `cohort` devices has noise_multiplier · clip.
    """

    vector: Floats
    """Float32 [2·D]."""
    encoder: str
    """Fingerprint of the encoder; "" if none was named."""
    start: int
    """CRC-32 of the start's numbers."""
    clip: float
    noise_multiplier: float
    cohort: int
    """Updates that are averaged together, at least."""

    @classmethod
    def of(
        cls,
        layer: PersonalLayer,
        *,
        start: PersonalLayer,
        clip: float = 0.1,
        noise_multiplier: float = 1.0,
        cohort: int = 1000,
        seed: int | None = None,
    ) -> LayerUpdate:
        """The update of one device.

        `start`: the layer that all devices began with, such as `PersonalLayer.zero(D)`. `clip`: most of an update's
        length; `noise_multiplier`: noise of the average over that; both, and `cohort`, the same on all devices.
        `gaussian_epsilon` tells the privacy that they buy. `seed`: for tests alone; it tells the noise.

        Raises ValueError for layers of different encoders or dimensions, and for values out of their bounds.
        """
        check_same_encoder(layer.encoder, start.encoder)
        if layer.dimension != start.dimension:
            raise ValueError(f"start: dimension {start.dimension}, the layer has {layer.dimension}")
        _positive("clip", clip)
        if not (noise_multiplier >= 0 and math.isfinite(noise_multiplier)):
            raise ValueError(f"noise_multiplier: {noise_multiplier} is not a number from 0")
        if isinstance(cohort, bool) or not isinstance(cohort, int) or not 1 <= cohort <= 2**24:
            raise ValueError(f"cohort: {cohort} is not a whole number from 1 to {2**24}")
        learned = (layer.vector.astype(np.float64) - start.vector) / units(layer.dimension)
        learned *= min(1.0, clip / max(float(np.linalg.norm(learned)), 1e-12))
        noise = np.random.default_rng(seed).normal(size=learned.size)  # without a seed: of the system's entropy
        learned += noise * (noise_multiplier * clip / math.sqrt(cohort))
        vector = learned.astype(np.float32)
        encoder = layer.encoder or start.encoder
        # As `to_bytes` writes them:
        written = [float(np.float32(term)) for term in (clip, noise_multiplier)]
        return cls(vector, encoder, checksum(start), written[0], written[1], cohort)

    @property
    def dimension(self) -> int:
        """D."""
        return self.vector.size // 2

    def to_bytes(self) -> bytes:
        """The update as bytes, to be sent to whoever averages."""
        start = (self.start >> 16, self.start & 0xFFFF)
        terms = np.array([self.clip, self.noise_multiplier, self.cohort, *start], np.float32)
        return pack(UPDATE, self.encoder, self.dimension, np.concatenate([self.vector, terms]))

    @classmethod
    def from_bytes(cls, data: bytes, *, encoder: str = "") -> LayerUpdate:
        """The update that `to_bytes` wrote. `encoder`: the fingerprint that it must be of; "" for any.

        Raises ValueError for bytes that are damaged or no update, and for an update of another encoder.
        """
        found = unpack(data, UPDATE, more=5)
        check_same_encoder(found.encoder, check_encoder(encoder))
        if not np.isfinite(found.numbers).all():
            raise ValueError("data: holds NaN or an infinite number, all must be finite")
        vector, terms = found.numbers[:-5], found.numbers[-5:].tolist()
        clip, noise, cohort, high, low = terms
        _positive("clip", clip)
        whole = cohort >= 1 and noise >= 0 and all(n == int(n) for n in (cohort, high, low))
        if not whole or not all(0 <= n < 2**16 for n in (high, low)):
            raise ValueError("data: its terms are none of an update")
        return cls(vector, found.encoder, (int(high) << 16) | int(low), clip, noise, int(cohort))


def units(dimension: int) -> Floats:
    """The numbers of a layer over those of an update, [2·D]: a change of s by √D does as much as one of b by 1."""
    return np.repeat(np.array([math.sqrt(dimension), 1.0], np.float32), dimension)


def checksum(layer: PersonalLayer) -> int:
    """CRC-32 of a layer's numbers."""
    return zlib.crc32(np.ascontiguousarray(layer.vector, "<f4").tobytes())


def gaussian_epsilon(noise_multiplier: float, *, rounds: int = 1, delta: float = 1e-6) -> float:
    """ε of the Gaussian mechanism: `rounds` sums of vectors clipped to C, each with noise of noise_multiplier · C.

    Exact, not a bound: the smallest ε for which the mechanism is (ε, δ)-differentially private (Balle and Wang 2018,
    theorem 8), where k rounds are one with noise smaller by √k (Dong, Roth and Su 2019, corollary 3.3). Everybody is
    counted as taking part in every round: that fewer do would make ε smaller.

    For the average of a cohort, whose noise_multiplier is that of its updates: what the average tells of one person who
    took part or did not. For a single message, as whoever receives it sees it: noise_multiplier / (2 · √cohort), since
    any two messages may differ by 2 · C.

    Raises ValueError for values out of their bounds.
    """
    _positive("noise_multiplier", noise_multiplier)
    if isinstance(rounds, bool) or not isinstance(rounds, int) or rounds < 1:
        raise ValueError(f"rounds: {rounds} is not a whole number from 1")
    if not 0 < delta < 1:
        raise ValueError(f"delta: {delta} is not between 0 and 1")
    mu = math.sqrt(rounds) / noise_multiplier
    low, high = 0.0, 1.0
    if _delta(low, mu) <= delta:
        return 0.0
    while _delta(high, mu) > delta:
        low, high = high, 2 * high
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _delta(middle, mu) > delta else (low, middle)
    return high


def _delta(epsilon: float, mu: float) -> float:
    """δ of a Gaussian mechanism with sensitivity over noise `mu`."""
    tail = epsilon + _log_cdf(-epsilon / mu - mu / 2)
    return math.exp(_log_cdf(mu / 2 - epsilon / mu)) - math.exp(min(tail, 0.0))


def _log_cdf(x: float) -> float:
    """The logarithm of the normal distribution function."""
    if x > -35:
        return math.log(math.erfc(-x / math.sqrt(2)) / 2)
    # Its asymptotic series: erfc would be 0.
    return -x * x / 2 - math.log(-x * math.sqrt(2 * math.pi)) + math.log1p(-1 / x**2 + 3 / x**4)


def _positive(field: str, value: float) -> None:
    if not (value > 0 and math.isfinite(value)):
        raise ValueError(f"{field}: {value} is not a positive number")
