"""Checks that a running Triton still answers: it calls itself ready even after it has stopped."""

from __future__ import annotations

import contextlib
import threading
import time
import urllib.request
from collections.abc import Callable

import malgil

from server import stubs
from server.launcher import PROBE, Server

PROBE_SECONDS = 2.0  # between two real searches
OVERDUE_SECONDS = 8.0  # an answer that takes so long will not come
MAX_FAILED = 3  # failed searches in a row: one alone may be a matter of the moment
_ANSWERED = 'nv_inference_request_success{model="scorer"'  # how a line of Triton's metrics begins


class Health:
    """The health of one running server that has answered already; `close()` it when done.

    A dead stub is seen in the table of processes. A real search every two seconds sees the rest.
    """

    def __init__(self, server: Server, clock: Callable[[], float] = time.monotonic) -> None:
        self._server, self._clock = server, clock
        self._stubs = stubs.find(server.process.pid)
        self._client = server.client(OVERDUE_SECONDS)
        self._problem: str | None = None
        self._failed = 0  # searches that failed since the last one that did not
        self._answered = -1.0  # searches, as Triton counts them
        self._moved_at = clock()  # when that number last rose
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._probe_on, name="health", daemon=True)
        self._thread.start()

    def problem(self) -> str | None:
        """What is wrong with the server; None while it is healthy. Returns at once."""
        code = self._server.process.poll()
        if code is not None:
            return f"tritonserver ended with {code}"
        return stubs.describe_dead(self._stubs) or self._problem

    def close(self) -> None:
        """Stop probing. A search that is under way runs until its deadline."""
        self._closed.set()
        self._client.close()

    def probe(self) -> None:
        """Search once, and note what is wrong with the answer."""
        try:
            self._client.search(PROBE, top_k=1)
            self._failed, self._moved_at = 0, self._clock()
        except malgil.Overloaded:
            self.check_queue()
        except malgil.DeadlineExceeded:
            self._problem = f"no answer to a search within {OVERDUE_SECONDS:.0f} s"
        except malgil.MalgilError as error:
            if "no catalog" in str(error) or "no generation serves" in str(error):
                self._failed, self._moved_at = 0, self._clock()  # no restart would help
                return
            sentence = str(error).splitlines()[0]
            self._failed += 1
            if sentence.startswith("Stub process"):  # never passes
                self._problem = f"a search failed: {sentence}"
            elif self._failed >= MAX_FAILED:
                self._problem = f"{MAX_FAILED} searches in a row failed: {sentence}"

    def check_queue(self) -> None:
        """Note when a full queue has not moved for OVERDUE_SECONDS."""
        answered = self._answered
        with contextlib.suppress(OSError, ValueError):
            self._answered = self.answered()
        if self._answered != answered:
            self._moved_at = self._clock()
        elif self._clock() - self._moved_at > OVERDUE_SECONDS:
            self._problem = f"the queue is full, and nothing was answered for {OVERDUE_SECONDS:.0f} s"

    def answered(self) -> float:
        """How many searches Triton has answered, by its metrics, which lag the answers by a moment.

        Raises:
            OSError, ValueError: the metrics cannot be read.
        """
        with urllib.request.urlopen(self._server.metrics_url, timeout=OVERDUE_SECONDS) as page:
            lines = page.read().decode().splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith(_ANSWERED))

    def _probe_on(self) -> None:
        while not self._closed.wait(PROBE_SECONDS):
            with contextlib.suppress(RuntimeError):  # closed meanwhile
                self.probe()
