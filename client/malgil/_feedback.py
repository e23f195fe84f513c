"""Settings of feedback, and the counts of the events that it sent."""

from __future__ import annotations

from dataclasses import dataclass, field

from malgil._keyed import check_secret
from malgil._retry import check_count, check_timeout


@dataclass(frozen=True)
class Feedback:
    """Settings of feedback: which events a client sends of its searches, and how. Without them it sends none.

    `person_key`: the secret, at least 16 bytes, behind the hash that stands for a person in events; the same in all
    processes of the app. None: no event says of whom it is. `rotation_days`: for how many days a person keeps the hash,
    1 to 366. `log_queries`: send the text of queries; the server stores it only if it was started with `--log-queries`.

    `interval`: seconds that an event waits for others to go with. `max_waiting`: how many wait at most; beyond it the
    newest are dropped. `timeout`: seconds that the server may take for a batch. `close_timeout`: seconds that
    `close()`, and the exit of the interpreter, wait for the rest to be sent. `model`: its name on the server.
    """

    person_key: bytes | None = field(default=None, repr=False)
    log_queries: bool = False
    rotation_days: int = 30
    interval: float = 1.0
    max_waiting: int = 10_000
    timeout: float = 5.0
    close_timeout: float = 2.0
    model: str = "events"

    def __post_init__(self) -> None:
        if self.person_key is not None:
            check_secret("person_key", self.person_key)
        if not isinstance(self.log_queries, bool):
            raise TypeError(f"log_queries must be bool, not {type(self.log_queries).__name__}")
        if check_count("rotation_days", self.rotation_days, 1) > 366:
            raise ValueError(f"rotation_days: {self.rotation_days} is above 366")
        check_count("max_waiting", self.max_waiting, 1)
        for name in ("interval", "timeout", "close_timeout"):
            check_timeout(getattr(self, name), name)


@dataclass(frozen=True, slots=True)
class FeedbackCounts:
    """How many events of a client became what, since it was made, or since its process was forked."""

    sent: int
    """The server wrote them."""
    dropped: int
    """Lost: the queue was full, the server gave no answer or none in time, or its disk was full."""
    refused: int
    """The server would not have them: a wrong key, or an event that it does not know."""
    waiting: int
    """Not sent yet."""
