"""Bytes of personal layers and of updates: a header of 48 bytes, then numbers, float32, little-endian.

| bytes | what |
|---|---|
| 4 | `MGPL` |
| 1 | version, 1 |
| 1 | kind: 0, a layer; 1, an update |
| 2 | zero |
| 4 | D, the encoder's dimension, unsigned |
| 4 | CRC-32 of all that follows |
| 32 | the encoder's fingerprint; zeros if none is named |
| 8·D | scale, then shift |

An update has three float32 more: see _federated.py. The server reads layers by itself (core's ranking/personal.py).
"""

from __future__ import annotations

import re
import struct
import zlib
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

HEADER = struct.Struct("<4sBBxxII32s")
MAGIC, VERSION = b"MGPL", 1
LAYER, UPDATE = 0, 1
KINDS = {LAYER: "a layer", UPDATE: "an update"}
MOST = 2**16  # of D: more is no encoder's
_FINGERPRINT = re.compile(r"[0-9a-f]{64}|")


class Unpacked(NamedTuple):
    """What bytes hold."""

    encoder: str
    dimension: int
    numbers: NDArray[np.float32]


def pack(kind: int, encoder: str, dimension: int, numbers: NDArray[np.float32]) -> bytes:
    """The bytes of a layer or an update."""
    body = bytes.fromhex(encoder or "0" * 64) + np.ascontiguousarray(numbers, "<f4").tobytes()
    return HEADER.pack(MAGIC, VERSION, kind, dimension, zlib.crc32(body), body[:32]) + body[32:]


def unpack(data: bytes, kind: int, more: int = 0) -> Unpacked:
    """What bytes of `pack` hold; `more`: numbers beside the 2·D.

    Raises ValueError, a sentence, for bytes that are damaged, of another kind or of another version.
    """
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise TypeError(f"data must be bytes, not {type(data).__name__}")
    data = bytes(data)
    if len(data) < HEADER.size or data[:4] != MAGIC:
        raise ValueError(f"data: {len(data)} bytes without the header of {KINDS[kind]}")
    _, version, found, dimension, checksum, encoder = HEADER.unpack_from(data)
    if version != VERSION:
        raise ValueError(f"data: version {version}, this reads {VERSION}")
    if found != kind:
        raise ValueError(f"data: {KINDS.get(found, f'kind {found}')}, not {KINDS[kind]}")
    expected = HEADER.size + 4 * (2 * dimension + more)
    if not 1 <= dimension <= MOST or len(data) != expected:
        raise ValueError(f"data: {len(data)} bytes, {KINDS[kind]} of dimension {dimension} has {expected}")
    if zlib.crc32(data[HEADER.size - 32 :]) != checksum:
        raise ValueError("data: damaged, the checksum is not that of the numbers")
    name = encoder.hex() if any(encoder) else ""
    return Unpacked(name, dimension, np.frombuffer(data, "<f4", offset=HEADER.size).astype(np.float32))


def check_encoder(encoder: str) -> str:
    """The fingerprint of an encoder, or "" for none; TypeError or ValueError for anything else."""
    if not isinstance(encoder, str):
        raise TypeError(f"encoder must be str, not {type(encoder).__name__}")
    if not _FINGERPRINT.fullmatch(encoder):
        raise ValueError(f"encoder: {encoder[:80]!r} is not a fingerprint of 64 hexadecimal digits")
    return encoder


def check_same_encoder(mine: str, other: str) -> None:
    """ValueError where both are named and differ."""
    if mine and other and mine != other:
        raise ValueError(f"encoder: the layer is of {mine[:12]}, not of {other[:12]}: start a new one")
