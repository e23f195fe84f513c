"""What the comparisons ask: the labelled queries, and requests whose lengths follow a distribution."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from export import ROOT
from export.catalog import labelled

Ids = npt.NDArray[np.int64]
BUCKETS = (8, 16, 32, 64, 128)
SPREAD = 0.6  # σ of the logarithm: a third of the requests have 8 to 12 tokens, one in a thousand over 50
SEED = 7


def queries() -> list[str]:
    """The labelled queries of the sample catalogue, in an order that mixes their kinds."""
    found = [one.query for one in labelled.read(ROOT / "benchmarks" / "data" / "finance_queries.jsonl")]
    return [found[i] for i in np.random.default_rng(SEED).permutation(len(found))]


def log_normal(count: int, mean: float = 10, least: int = 3, most: int = 64) -> Ids:
    """Lengths of short queries, in tokens: log-normal with this mean before they are cut to least … most."""
    drawn = np.exp(np.log(mean) - SPREAD**2 / 2 + SPREAD * ndtri(_quantiles(count)))
    lengths: Ids = np.clip(np.rint(drawn), least, most).astype(np.int64)
    return lengths


def uniform(count: int, least: int = 4, most: int = 128) -> Ids:
    """Lengths in tokens, each from least to most as likely as any other."""
    lengths: Ids = (least + np.floor(_quantiles(count) * (most - least + 1))).astype(np.int64)
    return lengths


def _quantiles(count: int) -> npt.NDArray[np.float64]:
    """Numbers from 0 to 1, shuffled, one in each 64th of the range in every 64: each stretch of traffic is alike."""
    rng = np.random.default_rng(SEED)
    places = rng.permuted(np.tile(np.arange(64), (-(-count // 64), 1)), axis=1)
    numbers: npt.NDArray[np.float64] = (places + rng.random(places.shape)) / 64
    return numbers.ravel()[:count]


def requests(token_ids: Sequence[Ids], lengths: Ids) -> list[Ids]:
    """Ids of the given lengths, cut from real texts' ids, first and last token kept.

    Args:
        token_ids: of real texts, each with its special tokens at both ends.
        lengths: of the requests to make, 2 or more.
    """
    first, last = token_ids[0][:1], token_ids[0][-1:]
    inner = np.concatenate([ids[1:-1] for ids in token_ids])
    made, at = [], 0
    for length in lengths:
        places = np.arange(at, at + length - 2) % len(inner)
        made.append(np.concatenate([first, inner[places], last]))
        at += int(length) - 2
    return made


def bucket(length: int) -> int:
    """The bucket that a client pads a request of this length to.

    Raises:
        ValueError: it is longer than the largest bucket.
    """
    for size in BUCKETS:
        if length <= size:
            return size
    raise ValueError(f"a request of {length} tokens: the largest bucket is {BUCKETS[-1]}")


def padded(ids: Ids, length: int) -> dict[str, Ids]:
    """input_ids and attention_mask of one request, padded at the end to `length`; id 0 under a mask of 0."""
    room = (0, length - len(ids))
    return {"input_ids": np.pad(ids, room), "attention_mask": np.pad(np.ones_like(ids), room)}
