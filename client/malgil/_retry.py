"""How long a call may take, and when it is worth another try."""

from __future__ import annotations

import math
import random
import time
from dataclasses import dataclass

from malgil._errors import DeadlineExceeded, MalgilError


class Deadline:
    """The moment at which a call, its retries and its pauses included, gives up. `timeout` in seconds."""

    __slots__ = ("_end", "timeout")

    def __init__(self, timeout: float) -> None:
        self.timeout = check_timeout(timeout)
        self._end = time.monotonic() + self.timeout

    def left(self) -> float:
        """Seconds left; never below a millisecond, as protocols read 0 and less in ways of their own."""
        return max(self._end - time.monotonic(), 0.001)

    def exceeded(self) -> DeadlineExceeded:
        """The exception to raise when time is up."""
        return DeadlineExceeded(f"no answer within {self.timeout:g} s")


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential back-off with full jitter: clients that failed together do not come back together."""

    retries: int
    first: float = 0.1
    longest: float = 2.0

    def pause(self, attempt: int, error: MalgilError, left: float) -> float | None:
        """Seconds to wait before trying again after the 0-based `attempt`, or None: raise the error now.

        With too little time left the error is raised as it is: it says more than a deadline would.
        """
        if not error.retryable or attempt >= self.retries:
            return None
        pause = random.uniform(0, min(self.longest, self.first * 2**attempt))
        return pause if pause < left else None


def check_timeout(timeout: float) -> float:
    """The timeout as seconds; TypeError or ValueError where it is none. There is always a deadline."""
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)):
        raise TypeError(f"timeout must be float (seconds), not {type(timeout).__name__}")
    if not (timeout > 0 and math.isfinite(timeout)):
        raise ValueError(f"timeout: {timeout} is not a positive number of seconds")
    return float(timeout)


def check_count(field: str, value: int, least: int) -> int:
    """The number of retries, of concurrent requests, …; TypeError or ValueError where it is none."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{field} must be int, not {type(value).__name__}")
    if value < least:
        raise ValueError(f"{field}: {value} is below {least}")
    return value
