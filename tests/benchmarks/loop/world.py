"""A world with the sample catalog and vectors that are made in milliseconds: sums of random vectors of letters."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from functools import cache
from itertools import pairwise

import numpy as np
from malgil_core.catalog.reading import read as read_catalog
from malgil_core.ranking.types import Floats

from benchmarks import CATALOG
from benchmarks.loop.habits import TYPED, UNTYPED
from benchmarks.loop.world import World

DIMENSION = 96


def embed(texts: Sequence[str]) -> Floats:
    """A vector for each text: texts that share pairs of letters are near each other."""
    return np.stack([np.sum([_of(a + b) for a, b in pairwise(f" {text} ")], axis=0) for text in texts])


@cache
def _of(pair: str) -> Floats:
    return np.random.default_rng(zlib.crc32(pair.encode())).normal(size=DIMENSION).astype(np.float32)


@cache
def world() -> World:
    """The same for all tests."""
    found = World(read_catalog(CATALOG), (), embed, embed)
    found.know([*TYPED, *UNTYPED])
    return found
