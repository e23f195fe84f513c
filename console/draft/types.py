"""What the draft answers, and the state that it is in."""

from __future__ import annotations

from dataclasses import dataclass, field

from malgil_core.index.generation import Generation


@dataclass(frozen=True)
class DraftState:
    """The state of the draft.

    Attributes:
        revision: of the store, whose catalog is searched; None before the first one is built.
        generation: that is searched; None before the first one is built.
        problem: why the draft is not what the store holds, or cannot be searched, as a Korean sentence; None if it is.
        building: whether a newer catalog is being taken up; searches are answered from the generation before.
        embedded, to_embed: how many of the new texts have a vector, while building.
    """

    revision: int | None = None
    generation: Generation | None = None
    problem: str | None = None
    building: bool = False
    embedded: int = 0
    to_embed: int = 0


@dataclass(frozen=True)
class Hit:
    """A service that is found; `threshold` is the lowest score that it is shown with, None where there is none."""

    id: int
    name: str
    path: str
    phrase: str
    score: float
    dense: float
    lexical: float
    threshold: float | None


@dataclass(frozen=True)
class Missing(Hit):
    """A service that would be among the hits by its score, and is not.

    `reason` is "closed", "surface" (it is not shown there), "threshold", "null" or "floor" (the whole answer is empty).
    The lexical score of a closed service is that among closed ones: an estimate of what it would be.
    """

    reason: str


@dataclass(frozen=True)
class NullAnswer:
    """The null phrase nearest to a query, and whether it left the answer empty.

    Attributes:
        topic, phrase, score: of the null phrase.
        best: the score of the best service, whatever surface and threshold.
        margin: by how much the null phrase must score higher.
        floor: the lowest score of the best service that answers, None for no floor.
        refused_by: "null", "floor", or "" where the query is answered.
    """

    topic: str
    phrase: str
    score: float
    best: float
    margin: float
    floor: float | None
    refused_by: str


@dataclass(frozen=True)
class Answer:
    """The answer to a query.

    Attributes:
        hits: best first.
        missing: services that score as high as the hits, and why each is not among them.
        null: None where the query was not compared with null phrases.
        revision: of the store, whose catalog answered.
    """

    hits: list[Hit]
    missing: list[Missing] = field(default_factory=list)
    null: NullAnswer | None = None
    revision: int = 0

    @property
    def refused_by(self) -> str:
        """As a server's: "null", "floor" or ""."""
        return self.null.refused_by if self.null else ""


@dataclass(frozen=True)
class Neighbour:
    """The nearest phrase of another service."""

    id: int
    name: str
    path: str
    phrase: str
    cosine: float
    open: bool
