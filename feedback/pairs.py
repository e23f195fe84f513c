"""Training pairs of the choices of a log: what was typed, the phrase it means, and phrases of what was skipped."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from malgil_core.index.writer import Embed

from feedback.catalog import Serving, vectors
from feedback.choices import Choice, Choices
from feedback.log import fold

_JAMO = re.compile("[ㄱ-ㆎ]")
SHORTEST = 2  # characters
# Why a choice makes no pair → what is told.
REASONS = {
    "gone": "of services that are closed or gone",
    "typing": "of queries that are half typed",
    "there": "of queries that are a phrase of the service already",
}


@dataclass(frozen=True)
class Pair:
    """A line for `python -m training encoder --feedback`."""

    query: str
    positive: str
    negatives: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The fields as JSON has them."""
        return {"query": self.query, "positive": self.positive, "negatives": list(self.negatives)}


@dataclass
class Pairs:
    """What the choices gave.

    Attributes:
        pairs: to train on.
        held_out: queries with the service to find, which are left out of `pairs`: an encoder is evaluated on them.
        left_out: choices that make no pair, by reason.
    """

    pairs: list[Pair] = field(default_factory=list)
    held_out: list[tuple[str, int]] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)

    def labelled(self) -> list[Mapping[str, Any]]:
        """The lines of a file of labelled queries."""
        return [{"query": query, "id": id, "kind": "feedback"} for query, id in self.held_out]


def make(choices: Choices, serving: Serving, embed: Embed, negatives: int, share: float) -> Pairs:
    """The pairs of choices.

    Args:
        choices: that count.
        serving: the catalog: its phrases are what an encoder has to tell apart.
        embed: embeds queries.
        negatives: of a pair at most.
        share: of the queries that are held out, at most one half: `training evaluate` reports on the half of all
            labelled queries that `export.catalog.labelled` draws by a hash, so they are taken from that half.
    """
    made = Pairs()
    usable = []
    for one in choices.found:
        query = serving.tokenization.restored(one.query)
        reason = _reason(query, one, serving)
        if reason:
            made.left_out[reason] += 1
        elif _is_held_out(query, share):
            made.held_out.append((query, one.id))
        else:
            usable.append((query, one))
    for (query, one), vector in zip(usable, vectors(embed, [query for query, _ in usable]), strict=True):
        positive, _ = serving.nearest_phrase(one.id, vector)
        skipped = [serving.nearest_phrase(id, vector)[0] for id in one.skipped if id in serving.services]
        own = set(serving.services[one.id].texts)
        wrong = [text for text in dict.fromkeys(skipped) if text not in own and text != query]
        made.pairs.append(Pair(query, positive, tuple(wrong[:negatives])))
    return made


def _reason(query: str, one: Choice, serving: Serving) -> str:
    """Why a choice makes no pair; empty if it makes one."""
    if one.id not in serving.services:
        return "gone"
    if len(query) < SHORTEST or _JAMO.search(query):
        return "typing"
    return "there" if fold(query) in {fold(text) for text in serving.services[one.id].texts} else ""


def _is_held_out(query: str, share: float) -> bool:
    digest = hashlib.sha256(query.encode()).digest()
    return digest[0] % 2 == 1 and digest[1] < 256 * 2 * share
