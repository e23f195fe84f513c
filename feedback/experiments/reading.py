"""The sessions and choices of one experiment, read from the tables of a log."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from feedback.errors import FeedbackError
from feedback.experiments.preference import Choices
from feedback.experiments.sessions import Sessions
from feedback.log import DAY_MS, Log

INTERLEAVED = "interleaved"  # the arm of searches that show hits of both
Ints = npt.NDArray[np.int64]

# Without sessions that no person can have made. `who` of a search without a person is the search.
SESSIONS = f"""
    SELECT split_part(variant, ':', 2) AS arm, who, who = search_id AS anonymous, at_ms // {DAY_MS} AS day,
        coalesce(chosen_rank, 0) AS rank, coalesce(chosen_k, 0) AS searches
    FROM session
    WHERE NOT automatic AND starts_with(variant, $prefix) AND (surface = $surface OR $surface IS NULL)
    ORDER BY search_id
"""
# A hit that is chosen twice in one search counts once.
CHOICES = f"""
    SELECT who, chosen.at_ms // {DAY_MS} AS day, team
    FROM (SELECT DISTINCT ON (search_id, id) * FROM chosen WHERE team <> '' ORDER BY search_id, id, at_ms) AS chosen
    JOIN session USING (search_id)
    WHERE NOT automatic AND variant = $variant AND (surface = $surface OR $surface IS NULL)
    ORDER BY search_id, id
"""
EXPERIMENTS = """
    SELECT split_part(variant, ':', 1) AS name, count(*) AS sessions
    FROM session WHERE contains(variant, ':') GROUP BY ALL ORDER BY sessions DESC, name
"""


def experiments(log: Log) -> list[str]:
    """The names of the experiments that the searches are of, those with most searches first."""
    return [row["name"] for row in log.rows(EXPERIMENTS)]


def read(log: Log, name: str, surface: str | None = None) -> tuple[Sessions, Choices | None]:
    """An experiment's sessions in arms, and the choices among interleaved hits, None without any.

    Raises:
        FeedbackError: there is no search of this experiment, or it is interleaved of more than two arms.
    """
    rows = _columns(log, SESSIONS, prefix=f"{name}:", surface=surface)
    arm_of = rows["arm"].astype(str)
    if not len(arm_of):
        known = experiments(log)
        others = f"it has {', '.join(known[:10])}" if known else "its searches were in none"
        of_surface = f" on surface {surface!r}" if surface else ""
        raise FeedbackError(f"the log has no search of experiment {name!r}{of_surface}: {others}")
    in_arm = arm_of != INTERLEAVED
    sessions = _sessions({column: values[in_arm] for column, values in rows.items()})
    return sessions.without_mixed(), _choices(log, name, surface, int(np.sum(~in_arm)))


def everything(log: Log, surface: str | None = None) -> Sessions:
    """All sessions as one arm, whatever experiments they were in."""
    rows = _columns(log, SESSIONS, prefix="", surface=surface)
    return _sessions({**rows, "arm": np.full(len(rows["who"]), "all")})


def _sessions(rows: dict[str, npt.NDArray[Any]]) -> Sessions:
    arms, arm = np.unique(rows["arm"].astype(str), return_inverse=True)
    return Sessions(
        tuple(arms.tolist()),
        _numbers(rows["who"]),
        arm.astype(np.int64),
        rows["day"].astype(np.int64),
        rows["rank"].astype(np.int64),
        rows["searches"].astype(np.int64),
        int(rows["anonymous"].sum()),
    )


def _choices(log: Log, name: str, surface: str | None, searches: int) -> Choices | None:
    if not searches:
        return None
    rows = _columns(log, CHOICES, variant=f"{name}:{INTERLEAVED}", surface=surface)
    teams, team = np.unique(rows["team"].astype(str), return_inverse=True)
    if len(teams) > 2:
        raise FeedbackError(f"experiment {name!r} was interleaved of {', '.join(teams)}: it must be of two arms")
    first, second = [*teams.tolist(), "?", "?"][:2]
    return Choices(
        (first, second), _numbers(rows["who"]), rows["day"].astype(np.int64), team.astype(np.int64), searches
    )


def _columns(log: Log, query: str, **values: Any) -> dict[str, npt.NDArray[Any]]:
    found = log.connection.execute(query, values).fetchnumpy()
    return {name: np.asarray(column) for name, column in found.items()}


def _numbers(people: npt.NDArray[Any]) -> Ints:
    """A number for each row's person."""
    _, places = np.unique(people.astype(str), return_inverse=True)
    numbers: Ints = places.astype(np.int64)
    return numbers
