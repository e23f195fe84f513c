"""The supervisor: starts a server, watches it, and starts it again when it no longer answers."""

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
    """Keeps one server running, at the same addresses, until it is told to stop.

    Args:
        server: what it starts and stops; not started yet.
        announce: called with a server that answers, the generation it serves, and how many seconds it took to start.
        log: called with a sentence for each restart, its cause first.
    """

    def __init__(
        self,
        server: Server,
        announce: Callable[[Server, int | None, float], None],
        log: Callable[[str], None],
    ) -> None:
        self._server, self._announce, self._log = server, announce, log
        self._stop = threading.Event()
        self.restarts = 0

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Stop, passing this signal on to Triton; may be called from a signal handler."""
        self._stop.set()
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
            self._log(f"{cause}, {lasted:.0f} s after it was ready: restart {self.restarts} in {pause:.0f} s")
            if self._stop.wait(pause):
                return self._code

    def _serve(self, began: float) -> tuple[str, float | None]:
        """Run the server once: why it ended, and when it was ready, if ever."""
        self._code = 1
        try:
            self._server.start()
        except SetupError as error:
            return str(error), None
        ready_at = None
        try:
            if self._stop.is_set():  # told before there was a Triton to tell
                self._server.send_signal(signal.SIGTERM)
            generation = self._server.wait_ready()
            ready_at = time.monotonic()
            with contextlib.closing(Health(self._server)) as health:
                self._announce(self._server, generation, ready_at - began)
                cause = self._watch(health)
        except SetupError as error:
            cause = str(error)
        finally:
            if self._stop.is_set():
                self._server.wait()
            # Else it has ended by now, or it no longer answers and would not stop when asked either.
            self._code = self._server.stop(at_once=True)
        return cause, ready_at

    def _watch(self, health: Health) -> str:
        while not self._stop.is_set():
            cause = health.problem()
            if cause:
                return cause
            self._stop.wait(CHECK_SECONDS)
        return "told to stop"
