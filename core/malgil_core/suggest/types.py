"""Types that suggestions share: the options of a text, and a suggestion."""

from __future__ import annotations

from dataclasses import dataclass

from malgil_core.limits import DEFAULT_SUGGESTIONS


@dataclass(frozen=True)
class SuggestOptions:
    """The options of one text."""

    top_k: int = DEFAULT_SUGGESTIONS
    surface: str | None = None


@dataclass(frozen=True)
class Suggestion:
    """One suggestion.

    Attributes:
        text: what can be typed instead.
        service: index of its service in the generation.
        is_query: whether the text is one that people typed, not of the catalog.
        score: lexical match, 0 to 1.
    """

    text: str
    service: int
    is_query: bool
    score: float
