"""Deadlines, and the policy of retries."""

from __future__ import annotations

import math
import random
import time
from dataclasses import dataclass

from malgil._errors import DeadlineExceeded, MalgilError


class Deadline:
    """The time limit of a call, retries and pauses included: `timeout` seconds from when this is made."""

    __slots__ = ("_end", "timeout")

    def __init__(self, timeout: float) -> None:
        self.timeout = check_timeout(timeout)
        self._end = time.monotonic() + self.timeout

    def left(self) -> float:
        """Seconds left, at least 0.001: gRPC and httpx treat 0 and negative limits in special ways."""
        return max(self._end - time.monotonic(), 0.001)

    def exceeded(self) -> DeadlineExceeded:
        """The exception to raise when no time is left."""
        return DeadlineExceeded(f"no answer within {self.timeout:g} s")


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential back-off with full jitter, so that clients that failed together do not retry together.

    `first` and `longest`: upper bounds of the first and of any pause, in seconds.
    """

    retries: int
    first: float = 0.1
    longest: float = 2.0

    def pause(self, attempt: int, error: MalgilError, left: float) -> float | None:
        """Seconds to wait after the failed 0-based `attempt` before the next, or None where there is none.

        None where `error` is not retryable, all retries are used, or the pause would exceed the `left` seconds: then
        raise `error` itself, which tells more than DeadlineExceeded would.
        """
        if not error.retryable or attempt >= self.retries:
            return None
        pause = random.uniform(0, min(self.longest, self.first * 2**attempt))
        return pause if pause < left else None


def check_timeout(timeout: float, field: str = "timeout") -> float:
    """The given time in seconds; TypeError or ValueError unless it is a positive, finite number."""
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)):
        raise TypeError(f"{field} must be float (seconds), not {type(timeout).__name__}")
    if not (timeout > 0 and math.isfinite(timeout)):
        raise ValueError(f"{field}: {timeout} is not a positive number of seconds")
    return float(timeout)


def check_count(field: str, value: int, minimum: int) -> int:
    """The given count, such as of retries; TypeError unless it is an int, ValueError where it is below `minimum`."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{field} must be int, not {type(value).__name__}")
    if value < minimum:
        raise ValueError(f"{field}: {value} is below {minimum}")
    return value
