"""How likely a rank is looked at, estimated from hits that were shown at several ranks.

A hit is chosen if it is looked at and fits: P(chosen) = p(rank) · fits(query, hit). Where one and the same hit of a
query was shown at rank r by one ranker and at r + 1 by another (interleaving, A/B, generations), what fits cancels out:

    p(r + 1) / p(r) = Σ choices / times shown at r + 1  over  Σ choices / times shown at r

over such hits. This is the estimator AdjacentChain of Agarwal, Zaitsev, Wang, Li, Najork and Joachims, "Estimating
Position Bias without Intrusive Interventions" (WSDM 2019); p(1) = 1.
"""

from __future__ import annotations

from dataclasses import dataclass

from feedback.log import Log

LEAST_SHOWN = 10  # times at each of the two ranks, for a hit to count
LEAST_HITS = 20  # that count, for a ratio to be taken
LOWEST = 0.1  # of a propensity: a choice weighs 10 times at most (clipped, as Joachims et al. 2017 do)

_SWAPPED = """
    WITH placed AS (
        SELECT folded, id, rank, count(*) AS shown, count(chosen.search_id) / count(*) AS share
        FROM look JOIN shown USING (search_id, k)
        LEFT JOIN (SELECT search_id, k, id FROM chosen) AS chosen USING (search_id, k, id)
        WHERE folded <> '' GROUP BY folded, id, rank HAVING count(*) >= $shown
    )
    SELECT above.rank AS rank, count(*) AS hits, sum(above.share) AS above, sum(below.share) AS below
    FROM placed AS above JOIN placed AS below
        ON above.folded = below.folded AND above.id = below.id AND below.rank = above.rank + 1
    GROUP BY above.rank ORDER BY above.rank
"""


@dataclass(frozen=True)
class Propensities:
    """The propensities of the first ranks; further ranks have the last one's.

    Attributes:
        values: p(1) = 1, p(2), … as far as there were hits to estimate it by; not rising.
        hits: that were shown at two neighbouring ranks.
    """

    values: tuple[float, ...] = (1.0,)
    hits: int = 0

    def __str__(self) -> str:
        if len(self.values) == 1:
            return (
                f"position bias: {self.hits} hits were shown at two neighbouring ranks often enough, and {LEAST_HITS} "
                "are needed to estimate it: choices are not weighted, skipped hits alone correct for it"
            )
        shown = ", ".join(f"{value:.2f}" for value in self.values)
        return f"position bias: a rank is looked at with {shown} of the first, by {self.hits} hits at several ranks"


def estimate(log: Log, shown: int = LEAST_SHOWN, hits: int = LEAST_HITS) -> Propensities:
    """The propensities of a log.

    Args:
        shown: times that a hit must have been shown at each of two neighbouring ranks to count.
        hits: that must count for a ratio to be taken; ranks beyond the first gap keep the propensity before it.
    """
    ratios = {row["rank"]: row for row in log.rows(_SWAPPED, shown=shown)}
    values = [1.0]
    while (row := ratios.get(len(values))) and row["hits"] >= hits and row["above"] > 0:
        values.append(max(values[-1] * min(row["below"] / row["above"], 1.0), LOWEST))
    return Propensities(tuple(values), sum(row["hits"] for row in ratios.values()))
