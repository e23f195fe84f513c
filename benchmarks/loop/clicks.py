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


def choose(shown: Sequence[int], intent: int, draw: np.random.Generator) -> int | None:
    """The place of the hit that is chosen, from 0; None if the search is abandoned.

    So many numbers are drawn whatever happens, so that two rankings can be compared under the same luck.

    Args:
        shown: ids, best first; those after SHOWN are not seen.
        intent: the id that is meant.
        draw: for whatever is random.
    """
    luck = draw.random((2, SHOWN))
    examined = luck[0] < np.arange(1, SHOWN + 1) ** -ETA
    for place, id in enumerate(shown[:SHOWN]):
        if examined[place] and luck[1, place] < (CHOSEN if id == intent else NOISE):
            return place
    return None
