"""The background sender of events: a bounded queue, one daemon thread, batches.

A search puts its events into the queue, which takes microseconds, and never waits for them to be sent. An event is sent
at most once: where it is not known whether the server wrote it, it counts as dropped and is not repeated, since a
choice that is counted twice is worse than one that is missing.
"""

from __future__ import annotations

import atexit
import functools
import logging
import os
import random
import threading
import time
import weakref
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence

import numpy as np

from malgil._errors import BadRequest, Forbidden, MalgilError, ServerError
from malgil._events import Event, as_json
from malgil._feedback import Feedback, FeedbackCounts
from malgil._retry import Deadline
from malgil._transport import Transport

BATCH = 64  # events in one request: the model's max_batch_size
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0  # seconds between attempts at a server that cannot be reached

_SESSIONS = 10_000  # search ids whose number of searches is remembered, those used last

_LOG = logging.getLogger("malgil")


class Sender:
    """Sends events in the background; `put` never blocks and never raises.

    `connect` makes the transport, in the sender's thread. In the child of a fork the queue is empty, since the parent
    sends what was in it, and the next event starts another thread with a connection of its own.
    """

    def __init__(self, settings: Feedback, connect: Callable[[], Transport]) -> None:
        self._settings = settings
        self._connect = connect
        self._closing = False
        self._sessions: OrderedDict[str, int] = OrderedDict()
        self._reset()
        _SENDERS.add(self)

    def _reset(self) -> None:
        """The state of a sender that has sent nothing yet."""
        self._changed = threading.Condition()
        self._queue: deque[bytes] = deque()  # as JSON, a tenth of the memory of objects
        self._thread: threading.Thread | None = None
        self._transport: Transport | None = None
        # Numbers of events: queued ever, finished, and queued when they were last to be hurried with.
        self._put = self._done = self._urgent = 0
        self._sent = self._dropped = self._refused = 0
        self._gave_up = False
        self.error: str | None = None

    def put(self, events: Sequence[Event]) -> None:
        """Queue the events; those for which there is no room are dropped, and counted."""
        lines = self._lines(events)
        with self._changed:
            if self._thread is None and not self._closing:
                self._start()
            room = 0 if self._closing or self._thread is None else self._settings.max_waiting - len(self._queue)
            taken = lines[:room]
            before = len(self._queue)
            self._queue.extend(taken)
            self._put += len(taken)
            self._dropped += len(lines) - len(taken)
            if (before == 0 and taken) or before < BATCH <= len(self._queue):
                self._changed.notify_all()

    def next_search(self, search_id: str) -> int:
        """How many searches there were with the id, this one included."""
        with self._changed:
            k = self._sessions[search_id] = self._sessions.pop(search_id, 0) + 1
            if len(self._sessions) > _SESSIONS:
                self._sessions.popitem(last=False)
            return k

    def flush(self, timeout: float) -> bool:
        """Send what is queued now, and wait for it; whether all of it was sent, dropped or refused in time."""
        with self._changed:
            target = self._urgent = self._put
            self._changed.notify_all()
            return self._changed.wait_for(lambda: self._done >= target, timeout)

    @property
    def counts(self) -> FeedbackCounts:
        """What became of the events."""
        with self._changed:
            return FeedbackCounts(self._sent, self._dropped, self._refused, self._put - self._done)

    def begin_close(self) -> None:
        """Send what is queued at once, and take no more."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()

    def close(self, timeout: float | None = None) -> None:
        """Send what is queued, for at most `timeout` seconds, by default those of the settings; drop the rest."""
        deadline = time.monotonic() + (self._settings.close_timeout if timeout is None else timeout)
        self.begin_close()
        with self._changed:
            self._changed.wait_for(lambda: self._done >= self._put, deadline - time.monotonic())
            self._gave_up = True
            self._dropped += len(self._queue)
            self._done += len(self._queue)
            self._queue.clear()
            self._changed.notify_all()
            thread = self._thread
        if thread is not None:
            thread.join(max(deadline - time.monotonic(), 0))  # it closes the connection; not so while a server hangs

    def _start(self) -> None:
        """Start the thread, unless the interpreter starts no more."""
        thread = threading.Thread(target=self._run, name="malgil-feedback", daemon=True)
        try:
            _watch_exit()
            thread.start()
        except RuntimeError as error:  # the interpreter exits, or the system has no more threads
            self.error = str(error)
        else:
            self._thread = thread

    def _run(self) -> None:
        try:
            while batch := self._next():
                self._deliver(batch)
        finally:
            if self._transport is not None:
                self._transport.close()

    def _next(self) -> list[bytes]:
        """The next batch, oldest first, once it is due; empty if there is none and the sender closes."""
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._closing)
            self._changed.wait_for(self._is_due, self._settings.interval)
            return [self._queue.popleft() for _ in range(min(BATCH, len(self._queue)))]

    def _is_due(self) -> bool:
        return len(self._queue) >= BATCH or self._closing or self._urgent > self._done

    def _lines(self, events: Sequence[Event]) -> list[bytes]:
        """The events as JSON, without those that have none, such as with a score that is not a number."""
        lines = []
        for event in events:
            try:
                lines.append(as_json(event))
            except ValueError as error:
                with self._changed:
                    self._refused += 1
                    self.error = str(error)
        return lines

    def _deliver(self, events: Sequence[bytes]) -> None:
        """Send the events, again and again where no connection can be made, until it is known what became of them."""
        attempt = 0
        while True:
            try:
                written = self._send(events)
                return self._count(written, len(events) - written, 0, None)
            except BadRequest as error:
                if len(events) == 1:
                    return self._count(0, 0, 1, error)
                half = len(events) // 2  # one event of them is bad, and the server wrote none: the others are not lost
                self._deliver(events[:half])
                return self._deliver(events[half:])
            except Forbidden as error:
                return self._count(0, 0, len(events), error)
            except MalgilError as error:
                if not (error.retryable and self._pause(attempt)):
                    return self._count(0, len(events), 0, error)
            except Exception as error:  # a defect must not end the thread: later events would wait for ever
                return self._count(0, len(events), 0, error)
            attempt += 1

    def _send(self, events: Sequence[bytes]) -> int:
        """Send one request; the number of events that the server wrote."""
        if self._transport is None:
            self._transport = self._connect()
        column = np.empty((len(events), 1), np.object_)
        column[:, 0] = events
        deadline = Deadline(self._settings.timeout)
        outputs = self._transport.infer(self._settings.model, {"event": column}, ("accepted",), deadline)
        if "accepted" not in outputs or outputs["accepted"].size != len(events):
            raise ServerError(f"the answer of {self._settings.model!r} is not one number for each event")
        return int(np.count_nonzero(outputs["accepted"]))

    def _pause(self, attempt: int) -> bool:
        """Wait before the next attempt; whether there is to be one."""
        seconds = random.uniform(0, min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** min(attempt, 10)))
        with self._changed:
            if not self._changed.wait_for(lambda: self._closing, seconds):
                return True
            return not self._changed.wait_for(lambda: self._gave_up, min(seconds, _FIRST_PAUSE))

    def _count(self, sent: int, dropped: int, refused: int, error: Exception | None) -> None:
        with self._changed:
            news = error is not None and self.error is None
            self.error = None if error is None else (str(error) or repr(error)).splitlines()[0]
            self._sent += sent
            self._dropped += dropped
            self._refused += refused
            self._done += sent + dropped + refused
            self._changed.notify_all()
        if news:  # once, not once for each batch of a long failure
            _LOG.warning("feedback is lost: %s", self.error)

    def after_fork(self) -> None:
        """Begin anew in the child of a fork, where the thread is not, and the connection is the parent's."""
        _ABANDONED.append(self._transport)
        self._reset()


_SENDERS: weakref.WeakSet[Sender] = weakref.WeakSet()
# Parents' connections. To close one in the child would tell the server that the parent closes it.
_ABANDONED: list[Transport | None] = []


def _after_fork() -> None:
    for sender in tuple(_SENDERS):
        sender.after_fork()


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_after_fork)


@functools.cache
def _watch_exit() -> None:
    """Have the rest sent when the interpreter exits; registered late, so that it runs before what gRPC registered."""
    atexit.register(_close_all)


def _close_all() -> None:
    """Close all senders, side by side, within the longest of their times."""
    senders = tuple(_SENDERS)
    for sender in senders:
        sender.begin_close()
    end = time.monotonic() + max((sender._settings.close_timeout for sender in senders), default=0)
    for sender in senders:
        sender.close(max(end - time.monotonic(), 0))
