"""What people typed and then chose, counted into a file of suggestions (malgil_core.suggest.chosen).

A pair of text and service is kept only if enough distinct people made that choice on enough days: k-anonymity, with the
bounds of malgil_core.suggest.chosen, which options can raise and nothing can lower.

- **People are told apart by their hashes, and these rotate**: one person has another hash in each period (30 days
  unless the app says otherwise). Hashes of two periods are never counted together, or one person who searches for two
  and a half years would be thirty. So the bounds must hold within one period, and a log in which nobody is seen for
  long is refused: its hashes may rotate sooner than the option has it.
- A choice without a person counts for nothing: nobody can tell how many people made such choices.
- A person counts once a day for a text and a service, whatever they repeat. Sessions that no person can have made are
  left out (feedback/tables.py).
- Texts that may hold someone's number or address are left out, however many people typed them.
"""

from __future__ import annotations

from dataclasses import dataclass

from malgil_core.suggest.chosen import MAX_LINES, MIN_DAYS, MIN_PERSONS, Chosen, checked, why_unfit

from feedback.errors import FeedbackError
from feedback.log import Log

# The day is that of the search, when its person was hashed.
_PAIRS = """
    WITH choice AS (
        SELECT DISTINCT search.folded AS text, chosen.id AS id, search.who AS who, search.at_ms // 86400000 AS day
        FROM search JOIN chosen USING (search_id, k) JOIN session USING (search_id)
        WHERE search.folded <> '' AND search.who <> search_id AND NOT session.automatic
    ),
    period AS (
        SELECT text, id, day // $rotation AS period, count(DISTINCT who) AS persons, count(DISTINCT day) AS days
        FROM choice GROUP BY text, id, period
    ),
    enough AS (
        SELECT text, id, max(persons) AS persons, arg_max(days, persons) AS days
        FROM period WHERE persons >= $persons AND days >= $days GROUP BY text, id
    ),
    every AS (SELECT text, id, count(*) AS chosen FROM choice GROUP BY text, id)
    SELECT text, id, chosen, persons, days FROM every LEFT JOIN enough USING (text, id)
    ORDER BY chosen DESC, text, id
"""
_SPANS = """
    WITH person AS (
        SELECT max(at_ms // 86400000) - min(at_ms // 86400000) AS days FROM search WHERE who <> search_id
        GROUP BY who, at_ms // 86400000 // $rotation
    )
    SELECT coalesce((SELECT max(days) FROM person), 0) AS person,
        coalesce((SELECT max(at_ms // 86400000) - min(at_ms // 86400000) FROM search WHERE who <> search_id), 0) AS log
"""


@dataclass(frozen=True)
class Bounds:
    """From when on a choice may be suggested to others.

    Attributes:
        persons: distinct ones, within one period of their hashes.
        days: distinct ones, within the same period.
        rotation_days: of the period: `malgil.Feedback(rotation_days=…)` of the apps.

    Raises:
        ValueError: a bound is lower than malgil_core.suggest.chosen allows, or a period is too short for them.
    """

    persons: int = MIN_PERSONS
    days: int = MIN_DAYS
    rotation_days: int = 30

    def __post_init__(self) -> None:
        for name, value, lowest in (("persons", self.persons, MIN_PERSONS), ("days", self.days, MIN_DAYS)):
            if value < lowest:
                raise ValueError(f"{name} is {value}: it must be at least {lowest}, or a text could point to a person")
        if self.rotation_days < self.days:
            raise ValueError(f"rotation_days is {self.rotation_days}: it must be at least the {self.days} of days")


@dataclass(frozen=True)
class Counted:
    """What may be suggested, and how much may not.

    Attributes:
        found: most chosen first, at most MAX_LINES.
        rare: pairs of text and service that fewer people chose, or on fewer days.
        unfit: pairs that enough people chose, and whose text may hold someone's number or address.
        beyond: pairs after the first MAX_LINES.
    """

    found: list[Chosen]
    rare: int
    unfit: int
    beyond: int


def count(log: Log, bounds: Bounds) -> Counted:
    """The suggestions of a log with queries.

    Raises:
        FeedbackError: people's hashes may rotate sooner than the bounds say.
    """
    _check_rotation(log, bounds.rotation_days)
    rows = log.rows(_PAIRS, rotation=bounds.rotation_days, persons=bounds.persons, days=bounds.days)
    enough = [row for row in rows if row["persons"] is not None]
    fit = [row for row in enough if why_unfit(row["text"]) is None]
    found = [checked(row) for row in fit[:MAX_LINES]]
    return Counted(found, len(rows) - len(enough), len(enough) - len(fit), max(len(fit) - MAX_LINES, 0))


def _check_rotation(log: Log, rotation_days: int) -> None:
    """Refuse a log in which no person is seen over half of a period, or of the log where that is shorter."""
    spans = log.one(_SPANS, rotation=rotation_days)
    least = min(rotation_days, spans["log"]) / 2
    if spans["person"] < least:
        raise FeedbackError(
            f"no person is seen over more than {spans['person']} days, of {spans['log']} in the log: the hashes of "
            f"people may rotate sooner than in {rotation_days} days, and one person may count as many: give "
            "--rotation-days as the apps have it"
        )
