"""Who is let in when more is asked than can be answered. Pure: no Triton here.

An ensemble has no queue of its own, and the queues of its steps cannot be bounded by their configs: with max_queue_size
or a timeout, Triton wakes a step's batcher only if an instance waits at that very moment, and now and then a request of
a lone client lies for 500 ms. So the first step counts what waits in all of them, by Triton's own metric, and refuses
the rest at once, before any work is done for it.

Asking Triton takes 1 to 2 ms, so it is done when what was let in since the last answer could have filled the queue, and
in between a few times a second while there is traffic. A lone client never waits for it.
"""

from __future__ import annotations

import http.client
import re
import time
from collections.abc import Callable, Collection, Sequence
from urllib.parse import urlsplit

FRESH_SECONDS = 0.01  # an answer so old is good enough to refuse by: an overload costs 100 questions a second at most
STALE_SECONDS, STALE_COUNT = 0.25, 16  # after both of these an answer is asked for again
RATE_SECONDS = 1.0  # answers further apart say little of how fast a queue empties
_PENDING = re.compile(r'^nv_inference_pending_request_count\{[^}]*?model="([^"]+)"[^}]*\} (\S+)$', re.MULTILINE)


class Admission:
    """A bound on the requests that wait in a server.

    Args:
        most: requests that may wait.
        ask: how many wait now; raises OSError or ValueError where that cannot be learnt, and then all are let in.
        log: called with a sentence when asking begins to fail.
        clock: seconds.
    """

    def __init__(
        self,
        most: int,
        ask: Callable[[], int],
        log: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if most < 1:
            raise ValueError(f"max_pending is {most}: it must be at least 1")
        self._most, self._ask, self._log, self._clock = most, ask, log, clock
        self._waiting = 0  # when last asked
        self._since = 0  # let in since then
        self._asked = float("-inf")
        self._rate: float | None = None  # requests answered a second, while some waited
        self._blind = False

    def refusals(self, timeouts: Sequence[float]) -> list[str]:
        """Decide on the requests of one batch.

        Args:
            timeouts: seconds in which each must be answered; 0: it has all the time in the world.

        Returns:
            For each an empty text, and it is in, or a sentence for the caller: too many wait, or so many that the
            answer would come too late.
        """
        stale = self._since >= STALE_COUNT and self._clock() - self._asked >= STALE_SECONDS
        if stale or any(self._why_not(timeout, i) for i, timeout in enumerate(timeouts)):
            self._look()  # before the first is let in: those of this batch wait nowhere yet
        refusals = []
        for timeout in timeouts:
            why_not = self._why_not(timeout)
            refusals.append(f"overloaded: {why_not}; try again later" if why_not else "")
            self._since += not why_not
        return refusals

    def _why_not(self, timeout: float, more: int = 0) -> str:
        ahead = self._waiting + self._since + more
        if ahead >= self._most:
            return f"{ahead} requests wait, of {self._most} that may"
        wait = ahead / self._rate if self._rate else 0.0
        if 0 < timeout < wait:
            return f"the wait is about {wait * 1000:.0f} ms, and timeout {timeout * 1000:g} ms"
        return ""

    def _look(self) -> None:
        now = self._clock()
        if now - self._asked < FRESH_SECONDS:
            return
        try:
            waiting = self._ask()
        except (OSError, ValueError) as error:
            if not self._blind:
                self._log(f"what waits cannot be learnt, and nothing is refused: {error!r}")
            self._blind, self._rate, waiting = True, None, 0
        else:
            self._blind = False
            seconds = now - self._asked
            answered = self._waiting + self._since - waiting
            # Some waited at both ends, so it is likely that some did all along.
            if self._waiting and waiting and seconds < RATE_SECONDS and answered > 0:
                rate = answered / seconds
                self._rate = rate if self._rate is None else 0.8 * self._rate + 0.2 * rate
        self._waiting, self._since, self._asked = waiting, 0, now


def pending(metrics: str, models: Collection[str]) -> int:
    """How many requests wait in these models, of a page of Triton's metrics.

    Raises:
        ValueError: the page does not say.
    """
    counts = [float(count) for model, count in _PENDING.findall(metrics) if model in models]
    if not counts:
        raise ValueError("the metrics hold no nv_inference_pending_request_count")
    return int(sum(counts))


def fetch(url: str, seconds: float = 0.5) -> str:
    """A page of metrics, past any proxy.

    Raises:
        OSError: there is none within so many seconds, by each read.
        ValueError: the URL is not http://HOST:PORT/PATH.
    """
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname:
        raise ValueError(f"{url!r} is not http://HOST:PORT/PATH")
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=seconds)
    try:
        connection.request("GET", parts.path)
        return connection.getresponse().read().decode("utf-8", "replace")
    except http.client.HTTPException as error:
        raise OSError(repr(error)) from None
    finally:
        connection.close()
