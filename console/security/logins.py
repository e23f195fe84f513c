"""Bounded login attempts: so many failures for one account and from one address, then a wait."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable

PER_ACCOUNT, PER_ADDRESS = 8, 30  # attempts within WINDOW
WINDOW = 600.0  # seconds
MOST_KEYS = 10_000  # that are remembered; beyond it the oldest are forgotten


class Attempts:
    """Attempts of the last minutes, in memory.

    An attempt counts from its start, and is taken back when the password was right: a hundred attempts at the same
    time are a hundred attempts. Unknown accounts count like known ones.

    Example: with 2 attempts in 600 s, tries at 0 s and 10 s are let through; one at 20 s waits 580 s; at 600 s the
    first is forgotten, and one more is let through.
    """

    def __init__(
        self,
        per_account: int = PER_ACCOUNT,
        per_address: int = PER_ADDRESS,
        window: float = WINDOW,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._bounds = {"account": per_account, "address": per_address}
        self._window, self._clock = window, clock
        self._times: dict[tuple[str, str], deque[float]] = {}

    def start(self, account: str, address: str) -> int:
        """Count an attempt. 0 lets it through; else the seconds to wait, and nothing was counted."""
        now = self._clock()
        keys = self._keys(account, address)
        wait = max(self._wait(key, now) for key in keys)
        if wait > 0:
            return math.ceil(wait)
        for key in keys:
            times = self._times.pop(key, deque())
            times.append(now)
            self._times[key] = times  # last, so that the longest unused go first
        while len(self._times) > MOST_KEYS:
            self._times.pop(next(iter(self._times)))
        return 0

    def succeeded(self, account: str, address: str) -> None:
        """Forget the account's attempts, and one of the address: the others may be guesses at other accounts."""
        of_account, of_address = self._keys(account, address)
        self._times.pop(of_account, None)
        if times := self._times.get(of_address):
            times.pop()

    @staticmethod
    def _keys(account: str, address: str) -> tuple[tuple[str, str], tuple[str, str]]:
        return ("account", account.casefold()[:256]), ("address", address)

    def _wait(self, key: tuple[str, str], now: float) -> float:
        times = self._times.get(key)
        while times and now - times[0] >= self._window:
            times.popleft()
        if not times or len(times) < self._bounds[key[0]]:
            return 0
        return self._window - (now - times[-self._bounds[key[0]]])
