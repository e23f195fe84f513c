"""The precision and the vocabulary of an export for which none was named."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

AUTO = "auto"
BUNDLED = "bundled"
GPU = Path("/dev/nvidiactl")  # there wherever NVIDIA's driver is, in containers that were given a GPU too


@dataclass(frozen=True)
class Choice:
    """A precision or vocabulary, and the reason for it in a few words."""

    name: str
    reason: str


def precision(packed: bool = True) -> Choice:
    """The precision that is fastest on this machine; only encoders with the packed graph have another than fp32."""
    if not packed:
        return Choice("fp32", "an encoder that is wrapped whole has no other precision")
    if GPU.exists():
        return Choice("fp32", "this machine has an NVIDIA GPU; --precision fp16 halves the size")
    return Choice("int8", "this machine has no NVIDIA GPU; --precision fp32 keeps the source's numbers")


def vocabulary(source: str) -> Choice:
    """The vocabulary of a source: of the bundled encoder, which is multilingual, the Korean and Latin pieces."""
    if source == BUNDLED:
        return Choice("ko", "the bundled encoder serves Korean text; --vocabulary all reads other scripts, too")
    return Choice("all", "nothing is left out of an encoder that is not the bundled one; --vocabulary ko does")
