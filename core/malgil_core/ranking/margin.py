"""The limits of null phrases, chosen without labelled queries: each phrase of the catalog is left out in turn.

A phrase of a service is what people may type to find it, so one that is left out stands for a query: it is scored
against the other phrases of its service, all other services and the null phrases. The floor and the margin are the
highest and the smallest with which at most a given share of these queries is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from malgil_core.index.generation import Generation
from malgil_core.lexical.index import LexicalMatches
from malgil_core.ranking.scope import is_out_of_scope
from malgil_core.ranking.types import DECIMALS, Floats, Ints

MOST = 2000  # phrases left out; of more, so many are drawn
SEED = 0
BATCH = 64
FLOOR_SHARE = 1 / 3  # of the share that may be lost: the most that the floor takes


@dataclass(frozen=True)
class NullSettings:
    """What a publish is told of the limits of null phrases.

    Attributes:
        loss: share of the services' phrases that may be refused, each left out in turn.
        margin: the margin, instead of one that follows from `loss`.
        floor: the floor, instead of one that follows from `loss`; -1 is none.
    """

    loss: float = 0.03
    margin: float | None = None
    floor: float | None = None

    def made(self, limits: Mapping[str, Any]) -> bool:
        """Whether limits in a manifest were chosen by these settings; a margin or floor that was given stays."""
        made = NullSettings(**limits["settings"])
        kept = self.margin in (None, made.margin) and self.floor in (None, made.floor)
        return kept and self.loss == made.loss

    def limits(self, generation: Generation) -> dict[str, Any]:
        """What the manifest says of the limits: `margin`, `floor`, and the share of phrases that they refuse."""
        left_out = LeftOut.of(generation)
        floor = left_out.floor(self.loss * FLOOR_SHARE) if self.floor is None else self.floor
        margin = left_out.margin(self.loss, floor) if self.margin is None else self.margin
        return {
            "margin": margin,
            "floor": None if floor <= -1 else floor,
            "lost": round(left_out.lost(margin, floor), 4),
            "left_out": len(left_out.best),
            "settings": asdict(self),
        }


@dataclass(frozen=True)
class LeftOut:
    """Phrases of services, each scored as a query without its own row.

    Attributes:
        best: [n], score of the best service.
        null: [n], score of the best null phrase; -1 for one that null phrases cannot refuse.
    """

    best: Floats
    null: Floats

    @classmethod
    def of(cls, generation: Generation) -> LeftOut:
        """The open services' phrases of a generation with null phrases, or MOST of them."""
        phrases = len(generation.service_of_row)
        rows = np.arange(phrases)
        if phrases > MOST:
            rows = np.sort(np.random.default_rng(SEED).choice(phrases, MOST, replace=False))
        parts = [_scores(generation, rows[at : at + BATCH]) for at in range(0, len(rows), BATCH)]
        best, null = (
            (np.concatenate(part) for part in zip(*parts, strict=True)) if parts else (np.empty(0, np.float32),) * 2
        )
        return cls(best, null)

    def floor(self, share: float) -> float:
        """The highest floor under which at most this share of the phrases lies."""
        ordered = np.sort(self.best)
        return float(ordered[min(int(share * len(ordered)), len(ordered) - 1)]) if len(ordered) else -1.0

    def margin(self, share: float, floor: float) -> float:
        """The smallest margin from 0 on with which at most this share of the phrases is refused, by it or the floor."""
        gaps = np.sort((self.null.astype(np.float64) - self.best)[self.best >= floor])[::-1]
        may_lose = int(share * len(self.best)) - int((self.best < floor).sum())
        above = gaps[max(may_lose, 0)] if len(gaps) > max(may_lose, 0) else 0.0
        return round(max(float(above), 0.0) + 10.0**-DECIMALS / 2, DECIMALS)

    def lost(self, margin: float, floor: float) -> float:
        """The share of the phrases that these limits refuse."""
        refused = is_out_of_scope(self.best, self.null, margin, floor)
        return float(refused.mean()) if len(refused) else 0.0


def _scores(generation: Generation, rows: Ints) -> tuple[Floats, Floats]:
    """The scores of the best service and the best null phrase for some phrases, each without its own row."""
    assert generation.lexical
    assert generation.null
    embeddings = generation.matrix[rows]
    cosines = embeddings @ generation.matrix.T
    cosines[np.arange(len(rows)), rows] = -1
    null = np.round((embeddings @ generation.null.matrix.T).max(axis=1), DECIMALS)
    best = cosines.max(axis=1)
    texts = [generation.phrases_padded[row].decode() for row in rows.tolist()]
    for place, (row, matches) in enumerate(zip(rows.tolist(), generation.lexical.all_matches(texts), strict=True)):
        others = matches.rows != row
        found = LexicalMatches(matches.rows[others], matches.scores[others], matches.completions[others])
        best[place] = max(best[place], _best_matched(generation, cosines[place], found))
        if found.completions.any():
            null[place] = -1
    return np.round(best, DECIMALS), null


def _best_matched(generation: Generation, cosines: Floats, matches: LexicalMatches) -> float:
    """The fused score of the best service with a lexical match; `cosines` [P] are those of the query."""
    services = generation.service_of_row[matches.rows]
    best = -1.0
    for service in np.unique(services).tolist():
        low, high = np.searchsorted(generation.service_of_row, [service, service + 1])
        lexical = float(matches.scores[services == service].max())
        best = max(best, 1 - (1 - float(cosines[low:high].max())) * (1 - lexical))
    return best
