"""What people searched for and what they found, in tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from feedback.log import Log, Row

Step = Literal["hour", "day", "week"]
Group = Literal["time", "surface", "variant", "generation"]
Kind = Literal["asked", "empty", "refused", "unchosen"]
LENGTH_MS: dict[Step, int] = {"hour": 3_600_000, "day": 86_400_000, "week": 604_800_000}

_RATES = """
    count(*) AS searches, sum(requests)::BIGINT AS requests, count(DISTINCT who) AS people,
    avg((hits = 0 AND refused_by = '')::INT) AS empty, avg((refused_by <> '')::INT) AS refused,
    avg(answered::INT) AS chosen, avg(coalesce(chosen_rank = 1, false)::INT) AS chosen_first,
    avg(coalesce(1 / chosen_rank, 0)) AS mrr, avg(chosen_k) AS keystrokes
"""
_TOTAL = f"SELECT {_RATES}, min(at_ms) AS first_ms, max(at_ms) AS last_ms FROM session WHERE NOT automatic"
_BY: dict[Group, str] = {
    # Weeks begin on Monday: 1970-01-05 was one.
    "time": f"""SELECT (at_ms - $offset) // $length * $length + $offset AS at_ms, {_RATES}
        FROM session WHERE NOT automatic GROUP BY ALL ORDER BY at_ms""",
    "surface": f"SELECT surface, {_RATES} FROM session WHERE NOT automatic GROUP BY surface ORDER BY searches DESC",
    "variant": f"SELECT variant, {_RATES} FROM session WHERE NOT automatic GROUP BY variant ORDER BY variant",
    "generation": f"""SELECT generation, {_RATES} FROM session WHERE NOT automatic
        GROUP BY generation ORDER BY generation""",
}
_RANKS = """
    SELECT shown.rank AS rank, count(*) AS shown, count(chosen.id) AS chosen, count(chosen.id) / count(*) AS share
    FROM shown SEMI JOIN look USING (search_id, k) LEFT JOIN chosen USING (search_id, k, id)
    GROUP BY shown.rank ORDER BY shown.rank
"""
_QUERIES = """
    WITH counted AS (
        SELECT folded, mode(query) AS query, count(DISTINCT search_id) AS searches, count(DISTINCT who) AS people,
            count(DISTINCT who) FILTER (WHERE hits = 0 AND refused_by = '') AS empty,
            count(DISTINCT who) FILTER (WHERE refused_by <> '') AS refused,
            count(DISTINCT who) FILTER (WHERE hits > 0 AND NOT answered) AS unchosen,
            count(DISTINCT who) FILTER (WHERE picked) AS chosen
        FROM look WHERE folded <> '' GROUP BY folded
    ),
    first AS (
        SELECT folded, mode(id) AS first_id FROM look JOIN shown USING (search_id, k) WHERE rank = 1 GROUP BY folded
    )
    SELECT query, searches, people, empty, refused, unchosen, chosen, first_id
    FROM counted LEFT JOIN first USING (folded)
    WHERE people >= $people AND CASE $kind
        WHEN 'empty' THEN empty WHEN 'refused' THEN refused
        WHEN 'unchosen' THEN CASE WHEN chosen = 0 THEN unchosen ELSE 0 END ELSE people END >= $people
    ORDER BY CASE $kind WHEN 'empty' THEN empty WHEN 'refused' THEN refused WHEN 'unchosen' THEN unchosen
        ELSE people END DESC, searches DESC, query
    LIMIT $limit
"""


@dataclass(frozen=True)
class Report:
    """All tables of a report.

    Attributes:
        total: of all sessions; shares from 0 to 1.
        automatic: sessions that no person can have made, which are left out.
        by_time, by_surface, by_variant, by_generation: the same by a field.
        ranks: click-through by rank, of the answers that were looked at.
        queries: by what came of them, most people first; None where no query was logged.
    """

    total: Row
    automatic: int
    by_time: list[Row]
    by_surface: list[Row]
    by_variant: list[Row]
    by_generation: list[Row]
    ranks: list[Row]
    queries: dict[Kind, list[Row]] | None


def make(log: Log, step: Step, people: int, limit: int) -> Report:
    """The report of a log.

    Args:
        step: of the table over time.
        people: who must have typed a query for it to be listed.
        limit: queries listed of each kind.
    """
    kinds: tuple[Kind, ...] = ("asked", "empty", "refused", "unchosen")
    return Report(
        log.one(_TOTAL),
        int(log.one("SELECT count_if(automatic) AS found FROM session")["found"]),
        by_time(log, step),
        log.rows(_BY["surface"]),
        log.rows(_BY["variant"]),
        log.rows(_BY["generation"]),
        log.rows(_RANKS),
        {kind: queries(log, kind, people, limit) for kind in kinds} if log.has_queries else None,
    )


def by_time(log: Log, step: Step) -> list[Row]:
    """The rates of each hour, day or week (UTC) in which somebody searched."""
    return log.rows(_BY["time"], length=LENGTH_MS[step], offset=4 * LENGTH_MS["day"] if step == "week" else 0)


def queries(log: Log, kind: Kind, people: int, limit: int) -> list[Row]:
    """Queries by what came of them, most people first: at least `people` of whom it came so.

    "unchosen" are those that got hits, of which nobody ever chose one.
    """
    return log.rows(_QUERIES, kind=kind, people=people, limit=limit)
