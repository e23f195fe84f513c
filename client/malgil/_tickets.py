"""Tickets: an answer as text, from which a choice can be reported later and in another process."""

from __future__ import annotations

import base64
import json
import math
import re
from typing import Any

from malgil._events import Answer, ShownHit, check_search_id, check_variant

_PERSON = re.compile(r"(?:[0-9a-f]{32})?")
_MOST_HITS = 1000  # the server's largest top_k


def ticket(answer: Answer) -> str:
    """The answer as URL-safe text, about 25 characters for each hit; without the query and without the person's id."""
    hits = [[hit.id, hit.score, *([hit.team] if hit.team else ())] for hit in answer.hits]
    fields = [answer.search_id, answer.generation, answer.variant, answer.surface, answer.person, answer.k, hits]
    return base64.urlsafe_b64encode(json.dumps(fields, separators=(",", ":")).encode()).decode()


def read_ticket(text: str) -> Answer:
    """The answer in a ticket. Raises ValueError for any other text: tickets come back from browsers."""
    if not isinstance(text, str):
        raise TypeError(f"ticket must be str, not {type(text).__name__}")
    try:
        return _answer(json.loads(base64.b64decode(text.encode("ascii"), b"-_", validate=True)))
    except (ValueError, TypeError, RecursionError):
        raise ValueError(f"ticket: {text[:32]!r} is not the ticket of a result") from None


def _answer(fields: Any) -> Answer:
    """The answer of a ticket's fields; ValueError or TypeError for any others."""
    search_id, generation, variant, surface, person, k, hits = fields
    answer = Answer(
        check_search_id(_str(search_id)),
        _int(generation, 0),
        check_variant(variant),
        _str(surface)[:64],
        _str(person),
        _int(k, 1),
        tuple(_hit(*hit) for hit in hits[:_MOST_HITS]),
    )
    if not _PERSON.fullmatch(answer.person):
        raise ValueError("person")
    return answer


def _hit(id: Any, score: Any, team: Any = None) -> ShownHit:
    if not isinstance(score, (int, float)) or not math.isfinite(score):
        raise ValueError("score")
    return ShownHit(_int(id, 0), float(score), None if team is None else check_variant(team))


def _int(value: Any, least: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value < 2**53:
        raise ValueError("number")
    return value


def _str(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("text")
    return value
