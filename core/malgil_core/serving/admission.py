"""Admission control: a bound on the requests that wait in a server.

An ensemble has no queue of its own, and the queues of its steps cannot be bounded by their configs: with max_queue_size
or a timeout, Triton wakes a step's batcher only if an instance waits at that very moment, and now and then a request of
a lone client lies for 500 ms. So the first step counts the waiting requests of all steps, by Triton's own metric, and
refuses the rest at once, before any work is done for them.

Reading the metric takes 1 to 2 ms, so it is read when the requests admitted since the last reading could have filled
the queue, and in between a few times a second while there is traffic. A lone client never waits for it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Sequence
from urllib.parse import urlsplit

FRESH_SECONDS = 0.01  # a reading so old is good enough to refuse by: an overload costs 100 readings a second at most
READING_SHARE = 0.1  # of the time at most: on a busy machine a reading takes longer, and all requests wait for it
STALE_SECONDS, STALE_COUNT = 0.25, 16  # after both of these the metric is read again
RATE_SECONDS = 1.0  # readings further apart say little of how fast a queue empties
_PENDING = re.compile(r'^nv_inference_pending_request_count\{[^}]*?model="([^"]+)"[^}]*\} (\S+)$', re.MULTILINE)


class Admission:
    """A bound on the requests that wait in a server.

    Args:
        limit: requests that may wait.
        count_waiting: how many wait now; where it raises OSError or ValueError, all are admitted.
        log: called with a sentence when counting begins to fail.
        clock: seconds.
    """

    def __init__(
        self,
        limit: int,
        count_waiting: Callable[[], int],
        log: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if limit < 1:
            raise ValueError(f"max_pending is {limit}: it must be at least 1")
        self._limit, self._count_waiting, self._log, self._clock = limit, count_waiting, log, clock
        self._waiting = 0  # at the last reading
        self._admitted = 0  # since then
        self._read_at = float("-inf")
        self._fresh = FRESH_SECONDS
        self._rate: float | None = None  # requests answered a second, while some waited
        self._failing = False

    def refusals(self, timeouts: Sequence[float]) -> list[str]:
        """Admit or refuse each request of one batch.

        Args:
            timeouts: seconds in which each must be answered; 0: no limit.

        Returns:
            For each an empty text if it is admitted, or a sentence for the caller: too many requests wait, or so many
            that the answer would come too late.
        """
        stale = self._admitted >= STALE_COUNT and self._clock() - self._read_at >= STALE_SECONDS
        if stale or any(self._refusal(timeout, i) for i, timeout in enumerate(timeouts)):
            self._read()  # before the first is admitted: those of this batch wait nowhere yet
        refusals = []
        for timeout in timeouts:
            reason = self._refusal(timeout)
            refusals.append(f"overloaded: {reason}; try again later" if reason else "")
            self._admitted += not reason
        return refusals

    def _refusal(self, timeout: float, more: int = 0) -> str:
        ahead = self._waiting + self._admitted + more
        wait = ahead / self._rate if self._rate else 0.0
        if 0 < timeout < wait:
            return f"the wait is about {wait * 1000:.0f} ms, and timeout {timeout * 1000:g} ms"
        if ahead >= self._limit:
            return f"{ahead} requests wait, of {self._limit} that may"
        return ""

    def _read(self) -> None:
        now = self._clock()
        if now - self._read_at < self._fresh:
            return
        try:
            waiting = self._count_waiting()
        except (OSError, ValueError) as error:
            if not self._failing:
                self._log(f"the waiting requests cannot be counted, and none is refused: {error!r}")
            self._failing, self._rate, waiting = True, None, 0
        else:
            self._failing = False
            seconds = now - self._read_at
            answered = self._waiting + self._admitted - waiting
            # Some waited at both ends, so it is likely that some did all along.
            if self._waiting and waiting and seconds < RATE_SECONDS and answered > 0:
                rate = answered / seconds
                self._rate = rate if self._rate is None else 0.8 * self._rate + 0.2 * rate
        self._waiting, self._admitted, self._read_at = waiting, 0, now
        self._fresh = min(max(FRESH_SECONDS, (self._clock() - now) / READING_SHARE), STALE_SECONDS)


def pending(metrics: str, models: Collection[str]) -> int:
    """The number of requests that wait in these models, from a page of Triton's metrics.

    Raises:
        ValueError: the page does not say.
    """
    counts = [float(count) for model, count in _PENDING.findall(metrics) if model in models]
    if not counts:
        raise ValueError("the metrics hold no nv_inference_pending_request_count")
    return int(sum(counts))


def fetch(url: str, seconds: float = 0.5) -> str:
    """The page of metrics at a URL, past any proxy.

    Raises:
        OSError: no answer within so many seconds, by each read.
        ValueError: the URL is not http://HOST:PORT/PATH.
    """
    import http.client  # here: importing core brings no network along

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
