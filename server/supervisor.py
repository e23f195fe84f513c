"""Keeping a server up: started, watched, and started again when it no longer answers."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable

from server.health import Health
from server.launcher import Server
from server.triton import SetupError

CHECK_SECONDS = 0.25
LONGEST_PAUSE = 30.0  # seconds between two attempts
HEALTHY_SECONDS = 60.0  # after so long, the next failure counts as a first one


class Supervisor:
    """Runs one server after another, at the same addresses, until it is told to stop.

    Args:
        start: makes a server; raises SetupError where that cannot be.
        announce: called with a server that answers, the generation it serves, and how many seconds it took to start.
        say: called with a sentence for each restart, its cause first.
    """

    def __init__(
        self,
        start: Callable[[], Server],
        announce: Callable[[Server, int | None, float], None],
        say: Callable[[str], None],
    ) -> None:
        self._start, self._announce, self._say = start, announce, say
        self._server: Server | None = None
        self._stop = threading.Event()
        self.restarts = 0

    def stop(self, number: int = signal.SIGTERM) -> None:
        """End, passing this signal on to Triton; may be called from a signal handler."""
        self._stop.set()
        if self._server:
            self._server.send_signal(number)

    def run(self) -> int:
        """Serve until stopped; Triton's exit code.

        Raises:
            SetupError: the first server did not start, and the next would not either.
        """
        failures = 0
        while True:
            began = time.monotonic()
            cause, ready_at = self._serve(began)
            if self._stop.is_set():
                return self._code
            if ready_at is None and not self.restarts:
                raise SetupError(cause)
            lasted = time.monotonic() - ready_at if ready_at is not None else 0.0
            failures = 1 if lasted >= HEALTHY_SECONDS else failures + 1
            pause = min(2.0 ** (failures - 2), LONGEST_PAUSE) if failures > 1 else 0.0
            self.restarts += 1
            self._say(f"{cause}, {lasted:.0f} s after it was ready: restart {self.restarts} in {pause:.0f} s")
            if self._stop.wait(pause):
                return self._code

    def _serve(self, began: float) -> tuple[str, float | None]:
        """One server's life: why it ended, and when it was ready, if ever."""
        self._code = 1
        try:
            server = self._server = self._start()
        except SetupError as error:
            return str(error), None
        ready_at = None
        try:
            if self._stop.is_set():  # told before there was a server to tell
                server.send_signal(signal.SIGTERM)
            generation = server.wait_ready()
            ready_at = time.monotonic()
            with contextlib.closing(Health(server)) as health:
                self._announce(server, generation, ready_at - began)
                cause = self._watch(server, health)
        except SetupError as error:
            cause = str(error)
        finally:
            if self._stop.is_set():
                server.wait()
            # Else it has ended by now, or it no longer answers and would not end politely either.
            self._code = server.stop(at_once=True)
            self._server = None
        return cause, ready_at

    def _watch(self, server: Server, health: Health) -> str:
        while not self._stop.is_set():
            cause = health.wrong()
            if cause:
                return cause
            self._stop.wait(CHECK_SECONDS)
        return "told to stop"
