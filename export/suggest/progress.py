"""Steps of a suggestion, told to whoever waits for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Step:
    """What happens now, or what somebody should know of the answer.

    Attributes:
        code: "embedding" the catalog; "asking" the model; "again", since the endpoint was busy or failed (`detail`);
            "plain", without the schema of the answer that the endpoint refused; "answering" (`amount` characters so
            far); "cut", the answer ended early (`detail` says why), and its whole phrases count; "checking" them.
        amount: of characters.
        detail: in English.
    """

    code: Literal["embedding", "asking", "again", "plain", "answering", "cut", "checking"]
    amount: int = 0
    detail: str = ""


Progress = Callable[[Step], None]


def ignore(step: Step) -> None:
    """Tell nobody."""
