"""From when on what people did counts."""

from __future__ import annotations

from dataclasses import dataclass

PEOPLE = 5  # who typed a query: with fewer it may point to one of them


@dataclass(frozen=True)
class Bounds:
    """From when on a choice counts.

    Attributes:
        people: different ones who chose the service for the query.
        share: of the query's choices, weighed, that the service must have; over one half, a query has one service.
        skips: different people who skipped a hit above the chosen one, for it to be a negative.
        wanted: share of the query's choices from which on a service is no negative, however often it was skipped.
    """

    people: int = PEOPLE
    share: float = 0.6
    skips: int = 2
    wanted: float = 0.1
