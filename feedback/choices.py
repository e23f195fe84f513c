"""What people chose for a query, and what they skipped for it.

Choices say what people want only beside what else they saw: high ranks are chosen because they are seen. So

- a hit counts as wrong for a query only if it stood above the chosen one and was skipped ("click > skip above":
  Joachims, "Optimizing Search Engines using Clickthrough Data", KDD 2002): people read from the top, so it was seen;
- a choice weighs 1 / p(rank) (inverse propensity: Joachims, Swaminathan and Schnabel, "Unbiased Learning-to-Rank with
  Biased Feedback", WSDM 2017), where the log allows p to be estimated (feedback/propensity.py).

A person counts once for a query and a service, whatever they repeat; a nameless one once for each session. Sessions
that no person can have made are left out (feedback/tables.py).
"""

from __future__ import annotations

from dataclasses import dataclass

from feedback.bounds import Bounds
from feedback.log import Log
from feedback.propensity import Propensities

_PICKS = """
    CREATE OR REPLACE TEMP TABLE pick AS
    SELECT folded, chosen.id AS id, who, arg_min(chosen.rank, chosen.at_ms) AS rank
    FROM look JOIN chosen USING (search_id, k) WHERE folded <> '' GROUP BY folded, chosen.id, who
"""
_SERVICES = """
    WITH weighed AS (
        SELECT folded, id, count(*) AS people, sum(1 / list_extract($values, least(rank, len($values)))) AS weight
        FROM pick GROUP BY folded, id
    ),
    text AS (SELECT folded, mode(query) AS query FROM look WHERE folded <> '' GROUP BY folded)
    SELECT folded, query, id, people, weight / sum(weight) OVER (PARTITION BY folded) AS share
    FROM weighed JOIN text USING (folded)
    ORDER BY people DESC, folded, id
"""
_SKIPPED = """
    WITH skip AS (
        SELECT folded, chosen.id AS id, shown.id AS other, count(DISTINCT who) AS people
        FROM look JOIN chosen USING (search_id, k) JOIN shown USING (search_id, k)
        WHERE folded <> '' AND shown.rank < chosen.rank AND NOT EXISTS (
            FROM chosen AS also
            WHERE also.search_id = look.search_id AND also.k = look.k AND also.id = shown.id
        )
        GROUP BY folded, chosen.id, shown.id
    )
    SELECT skip.folded AS folded, skip.id AS id, skip.other AS other, skip.people AS people
    FROM skip LEFT JOIN skip AS against
        ON against.folded = skip.folded AND against.id = skip.other AND against.other = skip.id
    WHERE skip.people >= $skips AND skip.people > 2 * coalesce(against.people, 0)
    ORDER BY skip.people DESC, skip.other
"""


@dataclass(frozen=True)
class Choice:
    """A query, and the service that people choose for it.

    Attributes:
        query: as most people typed it.
        id: of the service.
        people: who chose it.
        share: of the query's choices, weighed.
        skipped: ids of services that they skipped above it, most often skipped first.
    """

    query: str
    id: int
    people: int
    share: float
    skipped: tuple[int, ...]


@dataclass(frozen=True)
class Choices:
    """The choices that count.

    Attributes:
        found: most people first.
        ambiguous: queries with choices of enough people, of which no service has the share.
        rare: queries with choices of fewer people.
    """

    found: list[Choice]
    ambiguous: int
    rare: int


def count(log: Log, propensities: Propensities, bounds: Bounds) -> Choices:
    """The choices of a log that count."""
    log.rows(_PICKS)
    rows = log.rows(_SERVICES, values=list(propensities.values))
    shares = {(row["folded"], row["id"]): row["share"] for row in rows}
    skipped: dict[tuple[str, int], list[int]] = {}
    for row in log.rows(_SKIPPED, skips=bounds.skips):
        if shares.get((row["folded"], row["other"]), 0.0) < bounds.wanted:
            skipped.setdefault((row["folded"], row["id"]), []).append(row["other"])
    enough = [row for row in rows if row["people"] >= bounds.people]
    found = [
        Choice(row["query"], row["id"], row["people"], row["share"], tuple(skipped.get((row["folded"], row["id"]), ())))
        for row in enough
        if row["share"] >= bounds.share
    ]
    queries, common = {row["folded"] for row in rows}, {row["folded"] for row in enough}
    return Choices(found, len(common) - len({one.query for one in found}), len(queries - common))
