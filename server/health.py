"""Knowing when a running Triton has stopped answering: it goes on calling itself ready."""

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
DOUBTS = 3  # failed searches in a row, where one alone may be a matter of the moment
_ANSWERED = 'nv_inference_request_success{model="scorer"'


class Health:
    """Watches one running server that has answered already; `close()` when done.

    A dead stub is seen in the table of processes. A real search every two seconds sees the rest.
    """

    def __init__(self, server: Server, clock: Callable[[], float] = time.monotonic) -> None:
        self._server, self._clock = server, clock
        self._stubs = stubs.of(server.process.pid)
        self._client = server.client(OVERDUE_SECONDS)
        self._said: str | None = None
        self._doubts = 0  # searches that failed since the last one that did not
        self._answered = -1.0  # searches, as Triton counts them
        self._moved = clock()  # when that last rose
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._keep_asking, name="health", daemon=True)
        self._thread.start()

    def wrong(self) -> str | None:
        """What is wrong with the server, or None; takes no time."""
        code = self._server.process.poll()
        if code is not None:
            return f"tritonserver ended with {code}"
        return stubs.died(self._stubs) or self._said

    def close(self) -> None:
        """Stop asking. A search on its way is left to its deadline."""
        self._closed.set()
        self._client.close()

    def look(self) -> None:
        """Ask once, and judge the answer."""
        try:
            self._client.search(PROBE, top_k=1)
            self._doubts, self._moved = 0, self._clock()
        except malgil.Overloaded:
            self.judge_queue()
        except malgil.DeadlineExceeded:
            self._said = f"no answer to a search within {OVERDUE_SECONDS:.0f} s"
        except malgil.MalgilError as error:
            if "no catalog is published" in str(error) or "no generation serves" in str(error):
                self._doubts, self._moved = 0, self._clock()  # no restart would help
                return
            sentence = str(error).splitlines()[0]
            self._doubts += 1
            if sentence.startswith("Stub process"):  # never passes
                self._said = f"a search failed: {sentence}"
            elif self._doubts >= DOUBTS:
                self._said = f"{DOUBTS} searches in a row failed: {sentence}"

    def judge_queue(self) -> None:
        """A full queue is a sign of life only while it moves."""
        answered = self._answered
        with contextlib.suppress(OSError, ValueError):
            with urllib.request.urlopen(self._server.metrics_url, timeout=OVERDUE_SECONDS) as page:
                lines = page.read().decode().splitlines()
            self._answered = sum(float(line.split()[-1]) for line in lines if line.startswith(_ANSWERED))
        if self._answered != answered:
            self._moved = self._clock()
        elif self._clock() - self._moved > OVERDUE_SECONDS:
            self._said = f"the queue is full, and nothing was answered for {OVERDUE_SECONDS:.0f} s"

    def _keep_asking(self) -> None:
        while not self._closed.wait(PROBE_SECONDS):
            with contextlib.suppress(RuntimeError):  # closed meanwhile
                self.look()
