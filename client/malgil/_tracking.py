"""From searches to events: what a client knows of a search before it is answered, and a result that reports choices."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from malgil._events import MAX_SURFACE, Answer, ShownHit, check_search_id, check_variant, now_ms
from malgil._feedback import Feedback, FeedbackCounts
from malgil._keyed import check_person, person_hash
from malgil._results import Hit, SearchResult, UnifiedResult
from malgil._sender import Sender
from malgil._tensors import Tensors, read_refusal, read_unified
from malgil._tickets import read_ticket, ticket
from malgil._transport import Transport

_NOTHING = FeedbackCounts(0, 0, 0, 0)


class FeedbackSender:
    """The feedback of one client, `client.feedback`; does nothing where the client was made without `feedback`.

    Events are sent in the background: a method never waits for the server, but for `flush`. Thread-safe.
    """

    def __init__(self, settings: Feedback | None, connect: Callable[[], Transport]) -> None:
        if settings is not None and not isinstance(settings, Feedback):
            raise TypeError(f"feedback must be malgil.Feedback, not {type(settings).__name__}")
        self._settings = settings
        self._sender = Sender(settings, connect) if settings is not None else None

    @property
    def counts(self) -> FeedbackCounts:
        """How many events were sent, dropped, refused, and how many wait."""
        return self._sender.counts if self._sender else _NOTHING

    @property
    def error(self) -> str | None:
        """Why the last batch of events was not sent, in one sentence; None if it was."""
        return self._sender.error if self._sender else None

    def flush(self, timeout: float = 5.0) -> bool:
        """Send what waits now, and wait for it, at most `timeout` seconds; whether nothing of it is left.

        Blocks: in an event loop, `await asyncio.to_thread(client.feedback.flush)`.
        """
        return self._sender.flush(timeout) if self._sender else True

    def chose(self, ticket: str, hit: Hit | int) -> None:
        """Report that a person opened the hit, or the service with the id, of the result whose `ticket` this is.

        For where the choice arrives without the result, as in a web server. Raises ValueError for a text that is no
        ticket, and where no hit of the result has the id.
        """
        if ticket:
            self._report(read_ticket(ticket).chosen(hit.id if isinstance(hit, Hit) else hit))

    def abandoned(self, ticket: str) -> None:
        """Report that a person left without opening a hit of the result whose `ticket` this is."""
        if ticket:
            self._report(read_ticket(ticket).abandoned())

    @property
    def _enabled(self) -> bool:
        return self._sender is not None

    def _report(self, *events: dict[str, Any]) -> None:
        if self._sender:
            self._sender.put(events)

    def _track(self, inputs: Tensors, person: str | None, search_id: str | None, variant: str) -> Track:
        """What is known of a search before it is sent. Raises TypeError or ValueError for bad arguments."""
        person, search_id, variant = check_person(person), check_search_id(search_id), check_variant(variant)
        if not self._settings or not self._sender:
            return Track(self, search_id, variant)
        key = self._settings.person_key
        hashed = person_hash(key, person, now_ms(), self._settings.rotation_days) if key and person else ""
        query = inputs["query"].item().decode() if self._settings.log_queries else None
        surface = inputs["surface"].item().decode()[:MAX_SURFACE] if "surface" in inputs else ""
        return Track(self, search_id, variant, self._sender.next_search(search_id), hashed, surface, query)

    def _close(self) -> None:
        if self._sender:
            self._sender.close()


@dataclasses.dataclass(frozen=True, slots=True)
class Track:
    """What is known of a search when it is sent; without feedback its id alone."""

    feedback: FeedbackSender
    search_id: str
    variant: str
    k: int = 1
    person: str = ""
    surface: str = ""
    query: str | None = None

    @property
    def enabled(self) -> bool:
        """Whether events are sent."""
        return self.feedback._enabled

    def answered(self, result: SearchResult, refused_by: str) -> SearchResult:
        """The result with its search id, able to report choices; reports the search and the hits."""
        if not self.enabled:
            return dataclasses.replace(result, search_id=self.search_id)
        hits = tuple(ShownHit(hit.id, round(hit.score, 6), hit.team) for hit in result)
        answer = Answer(self.search_id, result.generation, self.variant, self.surface, self.person, self.k, hits)
        searched = answer.searched(self.query, refused_by)
        self.feedback._report(searched, *([answer.shown()] if hits else ()))
        return dataclasses.replace(result, search_id=self.search_id, _shown=Shown(self.feedback, answer))

    def answered_all(self, outputs: Tensors) -> UnifiedResult:
        """The result in the output tensors of a unified search, its services able to report choices."""
        result = read_unified(outputs)
        return dataclasses.replace(result, services=self.answered(result.services, read_refusal(outputs)))


class Shown:
    """A result's way back to the sender of its client."""

    def __init__(self, feedback: FeedbackSender | None, answer: Answer) -> None:
        self._feedback = feedback
        self._answer = answer

    def chose(self, id: int) -> None:
        """Report the choice of the hit with the id; ValueError where there is none."""
        event = self._answer.chosen(id)
        if self._feedback:
            self._feedback._report(event)

    def abandoned(self) -> None:
        """Report that nothing was chosen."""
        if self._feedback:
            self._feedback._report(self._answer.abandoned())

    def ticket(self) -> str:
        """The answer as text."""
        return ticket(self._answer)

    def __deepcopy__(self, _: Any) -> Shown:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return Shown, (None, self._answer)  # a thread and a connection do not travel; the ticket does
