"""The model of clicks: people look from the top, seldom far down, and sometimes take what they did not mean.

A hit at rank r is examined with probability r**-η, the position-based model (Richardson, Dominowska and Ragno 2007;
η = 1 is what Joachims, Swaminathan and Schnabel 2017, "Unbiased Learning-to-Rank with Biased Feedback", simulate with).
Of the hits that are examined, the one that is meant is chosen with probability CHOSEN and any other with NOISE; the
first choice ends the search, as in the cascade model (Craswell, Zoeter, Taylor and Ramsey 2008).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

ETA = 1.0
CHOSEN = 0.95
NOISE = 0.03
SHOWN = 10  # hits of a list


Luck = list[float]  # for each place, the probability that a choice must exceed


def luck(draw: np.random.Generator, searches: int) -> list[Luck]:
    """The luck of so many searches: the same falls on every ranking, so that rankings can be compared under it.

    For each place of the list a number from 0 to 1, and infinity where the place is not looked at.
    """
    examined = draw.random((searches, SHOWN)) < np.arange(1, SHOWN + 1) ** -ETA
    found: list[Luck] = np.where(examined, draw.random((searches, SHOWN)), np.inf).tolist()
    return found


def choose(shown: Sequence[int], intent: int, chances: Luck) -> int | None:
    """The place of the hit that is chosen, from 0; None if the search is abandoned.

    Args:
        shown: ids, best first; those after SHOWN are not seen.
        intent: the id that is meant.
        chances: of `luck`.
    """
    for place, (id, chance) in enumerate(zip(shown, chances, strict=False)):
        if chance < (CHOSEN if id == intent else NOISE):
            return place
    return None
