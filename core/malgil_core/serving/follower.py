"""The generation that serves: follows index/CURRENT, loads off the serving thread, keeps the last good one."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from malgil_core.index.reader import Generation, GenerationError, current, folder_of, load
from malgil_core.ranking.types import Scorer
from malgil_core.serving.metrics import Metrics

POLL_SECONDS = 0.5  # a publish serves within this and the time it takes to load


@dataclass(frozen=True)
class Serving:
    """What one batch is answered from."""

    generation: Generation
    scorer: Scorer


class LiveIndex:
    """Watches an index folder and holds what serves.

    Args:
        index: the folder with CURRENT.
        encoder: the metadata file of the encoder that serves; generations of another are refused. Read once: the
            encoder in memory stays what it is when another is exported beside it.
        make_scorer: puts a generation on the device.
        log: called with (level, sentence), level "info" or "error".
        metrics: told what begins to serve, and of each refusal.
        with_lexical: whether the letters of queries will be looked at.
    """

    def __init__(
        self,
        index: Path,
        encoder: Path,
        make_scorer: Callable[[Generation], Scorer],
        log: Callable[[str, str], None],
        metrics: Metrics | None = None,
        with_lexical: bool = True,
    ) -> None:
        self._index, self._encoder, self._make_scorer, self._log = index, encoder, make_scorer, log
        self._metrics, self._with_lexical = metrics, with_lexical
        self._serving: Serving | None = None
        self._fingerprint: str | None = None
        self._refused: tuple[int | None, str] | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="live-index", daemon=True)

    @property
    def serving(self) -> Serving | None:
        """What serves now; take it once for a batch, so that every answer comes from one generation."""
        return self._serving

    @property
    def why_not(self) -> str:
        """Why nothing serves, in a sentence for the caller."""
        if self._refused:
            return f"no generation serves: {self._refused[1]}"
        return "no catalogue is published: run `python -m export catalog publish FILE`"

    def start(self) -> None:
        """Load what is current, then follow it in the background."""
        self.refresh()
        self._thread.start()

    def stop(self) -> None:
        """Stop following."""
        self._stop.set()
        self._thread.join()

    def refresh(self) -> None:
        """Load the current generation unless it serves already; a bad one is refused with one line in the log."""
        number: int | None = None
        try:
            if self._fingerprint is None:
                self._fingerprint = _fingerprint(self._encoder)
            number = current(self._index)
            if number is None or (self._serving and self._serving.generation.number == number):
                self._refused = None  # pointing at a refused one once more tries it once more
                return
            if self._refused and self._refused[0] == number:
                return
            generation = load(folder_of(self._index, number), self._fingerprint, self._with_lexical)
            self._serving = Serving(generation, self._make_scorer(generation))
            self._refused = None
            self._log("info", f"serving generation {number}: {len(generation.thresholds)} open services")
            if self._metrics:
                self._metrics.serves(generation)
        except Exception as error:  # a device out of memory too: the thread that follows must not die of it
            refused = (number, str(error) if isinstance(error, GenerationError) else f"{type(error).__name__}: {error}")
            if refused != self._refused:
                self._refused = refused
                what = "the index" if number is None else f"generation {number}"
                self._log("error", f"{what} is refused: {refused[1]}")
                if self._metrics:
                    self._metrics.refused()

    def _watch(self) -> None:
        while not self._stop.wait(POLL_SECONDS):
            self.refresh()


def _fingerprint(encoder: Path) -> str:
    try:
        fingerprint = json.loads(encoder.read_text(encoding="utf-8"))["fingerprint"]
    except OSError as error:
        raise GenerationError(f"{encoder} cannot be read: {error.strerror}; run `python -m export encoder`") from None
    except (ValueError, TypeError, KeyError, RecursionError):
        fingerprint = None
    if not isinstance(fingerprint, str):
        raise GenerationError(f"{encoder} has no fingerprint of an encoder: run `python -m export encoder` again")
    return fingerprint
