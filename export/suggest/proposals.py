"""A proposal: a phrase, what speaks against it, and the phrases nearest to it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Verdict = Literal[
    "good",
    "unprintable",  # control characters, symbols
    "not_korean",  # no Hangul syllable, or letters of a third script
    "latin",  # Latin words that the catalog does not have
    "short",
    "long",
    "duplicate",  # a name or phrase of the catalog, but for blanks, case and punctuation
    "null_duplicate",  # the same, of a null phrase
    "nearer_other",  # nearer to another service than to its own
    "nearer_null",  # nearer to a null phrase than to its own service
]


@dataclass(frozen=True)
class Near:
    """A text of the catalog that is near to a proposal.

    Attributes:
        phrase: the name or phrase.
        cosine: similarity to the proposal, by the encoder.
        name: of its service or null topic.
        service_id: of its service; None for a null topic.
    """

    phrase: str
    cosine: float
    name: str
    service_id: str | None


@dataclass(frozen=True)
class Proposal:
    """A phrase that a model proposed for a service.

    Attributes:
        text: the phrase.
        verdict: "good", or what speaks against it.
        own: the nearest name or phrase of its service.
        other: the nearest of all other services and null topics; None where there are none.
        detail: what the verdict is about: characters, words, or the text that is there already; "" otherwise.
    """

    text: str
    verdict: Verdict
    own: Near
    other: Near | None
    detail: str = ""

    @property
    def reason(self) -> str:
        """What speaks against it, in English; "" if nothing does."""
        return _REASONS[self.verdict].format(detail=self.detail, other=self.other)

    def as_dict(self) -> dict[str, Any]:
        """The fields as JSON takes them, cosines with four decimals."""
        near = {
            name: {**asdict(one), "cosine": round(one.cosine, 4)} if one else None
            for name, one in (("own", self.own), ("other", self.other))
        }
        return {"phrase": self.text, "verdict": self.verdict, "reason": self.reason, **near}


_REASONS: dict[Verdict, str] = {
    "good": "",
    "unprintable": "holds {detail}, which people do not type",
    "not_korean": "not Korean: {detail}",
    "latin": "{detail}: no such Latin word in the catalog",
    "short": "too short: {detail}",
    "long": "too long: {detail}",
    "duplicate": "there already: {detail}",
    "null_duplicate": "a null phrase: {detail}",
    "nearer_other": "nearer to service {other.name}",
    "nearer_null": "nearer to null topic {other.name}",
}
