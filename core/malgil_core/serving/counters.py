"""Counters of a model, for Triton's metrics endpoint.

Batches add to sums in memory, and one thread sends the sums on twice a second: a call that crosses to the server takes
20 to 50 µs, and a batch would make two dozen. No other thread may make them. Triton 2.51 crashes when two threads
increment one metric at once; when a metric outlives its stub; and when one is shared by instances that end one after
another, so each has a label of its own.
"""

from __future__ import annotations

import contextlib
import threading
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

SEND_SECONDS = 0.5
Key = tuple[str, str]  # metric, value of its own label or ""


class Counters:
    """The counters of one instance of a model.

    Args:
        make_family: pb_utils.MetricFamily.
        counters: name, without the prefix malgil_ → description.
        own_labels: name → a label of that counter alone, and its values.
        labels: on every counter; no other instance may have the same.
    """

    def __init__(
        self,
        make_family: Any,
        counters: Mapping[str, str],
        own_labels: Mapping[str, tuple[str, Sequence[str]]],
        labels: Mapping[str, str] | None = None,
    ) -> None:
        self._make_family, self._own_labels, self._labels = make_family, own_labels, labels or {}
        self._lock = threading.Lock()
        self._sums: defaultdict[Key, float] = defaultdict(float)  # not sent yet
        self._families: list[Any] = []
        self._metrics: dict[Key, Any] = {}
        self._make(make_family.COUNTER, counters)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._keep_sending, name="metrics", daemon=True)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def stop(self) -> None:
        """Stop sending, and release the metrics while the stub still lives."""
        self._stop.set()
        self._thread.join()
        self._metrics.clear()
        self._families.clear()

    def add(self, sums: Mapping[Key, float]) -> None:
        """Add to counters."""
        with self._lock:
            for key, by in sums.items():
                self._sums[key] += by

    def send(self) -> None:
        """Bring the endpoint up to date; a sum that fails to go out goes with the next. For one thread alone."""
        with self._lock:
            sums = {key: by for key, by in self._sums.items() if by}
        for key, by in sums.items():
            self._metrics[key].increment(by)
            self.add({key: -by})

    def _make(self, kind: Any, names: Mapping[str, str]) -> None:
        for name, description in names.items():
            family = self._make_family(name=f"malgil_{name}", description=description, kind=kind)
            self._families.append(family)
            label, values = self._own_labels.get(name, ("", ("",)))
            for value in values:
                extra = {label: value} if label else {}
                self._metrics[name, value] = family.Metric(labels={**self._labels, **extra})

    def _keep_sending(self) -> None:
        while True:
            with contextlib.suppress(Exception):  # full shared memory, say: the thread must not die of it
                self.send()
            if self._stop.wait(SEND_SECONDS):
                return
