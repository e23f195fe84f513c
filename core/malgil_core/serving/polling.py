"""Polling in the background: what follows an index looks twice a second whether it has changed."""

from __future__ import annotations

import threading

POLL_SECONDS = 0.5  # a publish serves within this and the time it takes to load


class Poller:
    """A thread that calls `refresh`, which a subclass defines and which must not raise.

    Args:
        name: of the thread.
    """

    def __init__(self, name: str) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._poll, name=name, daemon=True)

    def refresh(self) -> None:
        """Take up what has changed."""
        raise NotImplementedError

    def start(self) -> None:
        """Refresh now, then in the background."""
        self.refresh()
        self._thread.start()

    def stop(self) -> None:
        """Stop polling."""
        self._stop.set()
        self._thread.join()

    def _poll(self) -> None:
        while not self._stop.wait(POLL_SECONDS):
            self.refresh()
